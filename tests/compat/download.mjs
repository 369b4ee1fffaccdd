// The part of `particle update` and `particle flash --local` that needs no USB: finds a Device OS version
// at the server and downloads its modules, by the own code of the CLI. Prints their paths as a JSON
// array, or the error. node download.mjs <platform id> <version>; logged in as in the home folder.

import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const settings = require('particle-cli/settings.js');
settings.whichProfile();
settings.loadOverrides();
const ParticleApi = require('particle-cli/src/cmd/api.js');
const { downloadDeviceOsVersionBinaries } = require('particle-cli/src/lib/device-os-version-util.js');

const [platformId, version] = process.argv.slice(2);
const ui = { stdout: { write() {} }, showBusySpinnerUntilResolved: (text, promise) => promise };
const api = new ParticleApi(settings.apiUrl, { accessToken: settings.access_token });
try {
  const files = await downloadDeviceOsVersionBinaries({
    api,
    platformId: Number(platformId),
    version,
    ui,
  });
  console.log(JSON.stringify(files));
} catch (error) {
  console.log(JSON.stringify({ error: error.message }));
}

// Does one thing with each of some firmware files by binary-version-reader, which the stock tools use,
// and prints the results as a JSON array; bytes are hex.
// node modules.mjs <read, split, unpack, asset or bundle> <file>...

import { readFileSync } from 'node:fs';
import reader from 'binary-version-reader';

const {
  HalModuleParser,
  decompressModule,
  splitCombinedModules,
  unpackApplicationAndAssetBundle,
  unwrapAssetModule,
} = reader;

const hex = (buffer) => buffer.toString('hex');
const deeds = {
  read: async (file) => {
    const { crc, prefixInfo, suffixInfo, assets } = await new HalModuleParser().parseFile(file);
    return { crc, prefixInfo, suffixInfo, assets };
  },
  split: async (file) => (await splitCombinedModules(readFileSync(file))).map(hex),
  unpack: async (file) => hex(await decompressModule(readFileSync(file))),
  asset: async (file) => hex(await unwrapAssetModule(readFileSync(file))),
  bundle: async (file) => {
    const { application, assets } = await unpackApplicationAndAssetBundle(file);
    const found = assets.map(({ name, data }) => [name, hex(data)]);
    return { application: hex(application.data), assets: Object.fromEntries(found) };
  },
};

const [deed, ...files] = process.argv.slice(2);
const found = [];
for (const file of files) {
  found.push(await deeds[deed](file));
}
console.log(JSON.stringify(found));

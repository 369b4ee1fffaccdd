// Calls one method of particle-api-js and prints what it resolves to or rejects with.
// node call.mjs <api url> <method> <options in JSON>

import Particle from 'particle-api-js';

const [baseUrl, method, options] = process.argv.slice(2);
const particle = new Particle({ baseUrl });
try {
  const { statusCode, body } = await particle[method](JSON.parse(options));
  console.log(JSON.stringify({ resolved: { statusCode, body } }));
} catch (error) {
  const { statusCode, errorDescription, body } = error;
  if (statusCode === undefined) {
    throw error;
  }
  console.log(JSON.stringify({ rejected: { statusCode, errorDescription, body } }));
}

// Calls methods of particle-api-js, one after the other, and prints as a JSON array what each resolves
// to or rejects with. It stops at a failure that is not an answer of the server.
// node call.mjs <api url> <settings in JSON> <[[method, options], ...] in JSON>

import Particle from 'particle-api-js';

const [baseUrl, settings, calls] = process.argv.slice(2);
const particle = new Particle({ baseUrl, ...JSON.parse(settings) });
const outcomes = [];
for (const [method, options] of JSON.parse(calls)) {
  try {
    const answer = await particle[method](options);
    outcomes.push({ resolved: { statusCode: answer.statusCode, body: answer.body ?? answer } });
  } catch (error) {
    const { statusCode, errorDescription, body } = error;
    if (statusCode === undefined) {
      throw error;
    }
    outcomes.push({ rejected: { statusCode, errorDescription, body } });
  }
}
console.log(JSON.stringify(outcomes));

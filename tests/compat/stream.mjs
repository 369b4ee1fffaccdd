// Opens an event stream with particle-api-js, prints "open" and then each event as a line of JSON.
// node stream.mjs <api url> <how many events> <options in JSON>

import Particle from 'particle-api-js';

const [baseUrl, count, options] = process.argv.slice(2);
let left = Number(count);
const stream = await new Particle({ baseUrl }).getEventStream(JSON.parse(options));
stream.on('event', (event) => {
  console.log(JSON.stringify(event));
  left -= 1;
  if (left === 0) {
    process.exit(0);
  }
});
console.log(JSON.stringify('open'));

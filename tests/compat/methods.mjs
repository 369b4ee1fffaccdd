// Prints the names of all methods of particle-api-js that make a request, as a JSON array.

import Particle from 'particle-api-js';

const noRequest = ['constructor', 'client', 'deviceUri', 'setBaseUrl', 'setContext', 'setDefaultAuth'];
const names = Object.getOwnPropertyNames(Particle.prototype);
console.log(JSON.stringify(names.filter((name) => !name.startsWith('_') && !noRequest.includes(name))));

// A worker that finds the number behind a challenge (ALTCHA, SHA-256). Hashing here is faster than asking the browser for each hash,
// and works where a page without encryption has no Web Crypto. What does not depend on the number is hashed once.
'use strict';
const K = '428a2f9871374491b5c0fbcfe9b5dba53956c25b59f111f1923f82a4ab1c5ed5d807aa9812835b01243185be550c7dc372be5d7480deb1fe9bdc06a7c19bf174e49b69c1efbe47860fc19dc6240ca1cc2de92c6f4a7484aa5cb0a9dc76f988da983e5152a831c66db00327c8bf597fc7c6e00bf3d5a7914706ca63511429296727b70a852e1b21384d2c6dfc53380d13650a7354766a0abb81c2c92e92722c85a2bfe8a1a81a664bc24b8b70c76c51a3d192e819d6990624f40e3585106aa07019a4c1161e376c082748774c34b0bcb5391c0cb34ed8aa4a5b9cca4f682e6ff3748f82ee78a5636f84c878148cc7020890befffaa4506cebbef9a3f7c67178f2'
  .match(/.{8}/g).map(word => parseInt(word, 16) | 0);
const START = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];
const w = new Int32Array(64);

// The state after one more block of 64 bytes.
const block = (state, bytes, at) => {
  for (let i = 0; i < 16; i += 1, at += 4) w[i] = bytes[at] << 24 | bytes[at + 1] << 16 | bytes[at + 2] << 8 | bytes[at + 3];
  for (let i = 16; i < 64; i += 1) {
    const x = w[i - 15], y = w[i - 2];
    w[i] = w[i - 16] + w[i - 7] + ((x >>> 7 | x << 25) ^ (x >>> 18 | x << 14) ^ x >>> 3) + ((y >>> 17 | y << 15) ^ (y >>> 19 | y << 13) ^ y >>> 10) | 0;
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 64; i += 1) {
    const t = h + ((e >>> 6 | e << 26) ^ (e >>> 11 | e << 21) ^ (e >>> 25 | e << 7)) + (e & f ^ ~e & g) + K[i] + w[i] | 0;
    const u = ((a >>> 2 | a << 30) ^ (a >>> 13 | a << 19) ^ (a >>> 22 | a << 10)) + (a & b ^ a & c ^ b & c) | 0;
    h = g; g = f; f = e; e = d + t | 0; d = c; c = b; b = a; a = t + u | 0;
  }
  return [a + state[0] | 0, b + state[1] | 0, c + state[2] | 0, d + state[3] | 0, e + state[4] | 0, f + state[5] | 0, g + state[6] | 0, h + state[7] | 0];
};

const solve = (salt, wanted, most) => {
  const bytes = new TextEncoder().encode(salt), whole = bytes.length & ~63, rest = bytes.length - whole;
  let begun = START.map(word => word | 0);
  for (let at = 0; at < whole; at += 64) begun = block(begun, bytes, at);
  const tail = new Uint8Array(128);
  for (let number = 0; number <= most; number += 1) {
    const digits = String(number);
    tail.fill(0);
    tail.set(bytes.subarray(whole));
    for (let i = 0; i < digits.length; i += 1) tail[rest + i] = digits.charCodeAt(i);
    const end = rest + digits.length, last = end < 56 ? 64 : 128, bits = (whole + end) * 8;
    tail[end] = 128;
    tail[last - 2] = bits >>> 8;
    tail[last - 1] = bits;
    let state = block(begun, tail, 0);
    if (last > 64) state = block(state, tail, 64);
    if (state.every((word, i) => word === wanted[i])) return number;
  }
  return null;
};

if (typeof onmessage !== 'undefined') onmessage = ({ data: { algorithm, challenge, maxnumber, salt, signature } }) => {
  const number = solve(salt, challenge.match(/.{8}/g).map(word => parseInt(word, 16) | 0), maxnumber);
  postMessage(btoa(JSON.stringify({ algorithm, challenge, number, salt, signature })));
};

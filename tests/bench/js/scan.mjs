// node scan.mjs FILE: check every announcement of a JSON file with the SDK's checkStealthAddress,
// once to warm up on the first fifth, and print {"seconds", "found"} as JSON.
import { readFileSync } from "node:fs";
import { register } from "node:module";

register("./directories.mjs", import.meta.url);
const { checkStealthAddress, VALID_SCHEME_ID } = await import("@scopelift/stealth-address-sdk");

const { viewingPrivateKey, spendingPublicKey, announcements } = JSON.parse(
  readFileSync(process.argv[2], "utf8"),
);

const ours = ({ stealthAddress, ephemeralPublicKey, viewTag }) =>
  checkStealthAddress({
    schemeId: VALID_SCHEME_ID.SCHEME_ID_1,
    viewingPrivateKey,
    spendingPublicKey,
    userStealthAddress: stealthAddress,
    ephemeralPublicKey,
    viewTag,
  });

announcements.slice(0, announcements.length / 5).forEach(ours);
const began = performance.now();
const found = announcements.filter(ours).length;
console.log(JSON.stringify({ seconds: (performance.now() - began) / 1000, found }));

// node announce.mjs META COUNT: let the SDK pay a meta-address COUNT times; prints, as JSON, where
// it would send the money and the call data of ERC5564Announcer.announce for each.
import { register } from "node:module";
import { encodeFunctionData } from "viem";

register("./directories.mjs", import.meta.url);
const { ERC5564AnnouncerAbi, VALID_SCHEME_ID, generateStealthAddress } = await import(
  "@scopelift/stealth-address-sdk"
);

const abi = ERC5564AnnouncerAbi;
const payments = Array.from({ length: Number(process.argv[3]) }, () => {
  const { stealthAddress, ephemeralPublicKey, viewTag } = generateStealthAddress({
    stealthMetaAddressURI: process.argv[2],
    schemeId: VALID_SCHEME_ID.SCHEME_ID_1,
  });
  const args = [1n, stealthAddress, ephemeralPublicKey, viewTag];
  const data = encodeFunctionData({ abi, functionName: "announce", args });
  return { stealthAddress, ephemeralPublicKey, viewTag, data };
});
console.log(JSON.stringify(payments, null, 1));

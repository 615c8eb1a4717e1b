// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {SemaphoreVerifier} from "@semaphore-protocol/contracts/base/SemaphoreVerifier.sol";
import {ISemaphore} from "@semaphore-protocol/contracts/interfaces/ISemaphore.sol";
import {ISemaphoreVerifier} from "@semaphore-protocol/contracts/interfaces/ISemaphoreVerifier.sol";
import {IVouchers} from "../../src/interfaces/IVouchers.sol";
import {World} from "./World.sol";

/// @dev The world with Semaphore's own verifier, and proofs by Semaphore's own prover
/// (fixtures/generate.mjs) for the vouchers that are bought in it.
abstract contract RealProofs is World {
    string internal json;

    function setUp() public virtual override {
        deployWorld(ISemaphoreVerifier(address(new SemaphoreVerifier())));
        json = vm.readFile("test/fixtures/redemptions.json");
        for (uint256 i = 0; i < 3; ++i) {
            deposit(0, commitment(i));
        }
        deposit(1, commitment(3));
    }

    function commitment(uint256 index) internal view returns (uint256) {
        return uint256(vm.parseJsonBytes32Array(json, ".commitments")[index]);
    }

    /// @dev The first of the proofs, as Semaphore takes it.
    function semaphoreProof(IVouchers.Redemption memory r, IVouchers.Spend[] memory spends)
        internal
        view
        returns (ISemaphore.SemaphoreProof memory)
    {
        return ISemaphore.SemaphoreProof({
            merkleTreeDepth: 20,
            merkleTreeRoot: spends[0].merkleTreeRoot,
            nullifier: spends[0].nullifier,
            message: uint256(messageOf(r, spends)),
            scope: vouchers.scope(),
            points: spends[0].points
        });
    }

    function messageOf(IVouchers.Redemption memory r, IVouchers.Spend[] memory spends)
        internal
        view
        returns (bytes32)
    {
        uint256[] memory groups = new uint256[](spends.length);
        uint256[] memory nullifiers = new uint256[](spends.length);
        for (uint256 i = 0; i < spends.length; ++i) {
            (groups[i], nullifiers[i]) = (spends[i].group, spends[i].nullifier);
        }
        return vouchers.messageOf(r, groups, nullifiers);
    }

    function read(string memory name)
        internal
        view
        returns (IVouchers.Redemption memory r, IVouchers.Spend[] memory spends)
    {
        r.payee = vm.parseJsonAddress(json, string.concat(name, ".payee"));
        r.ephemeralKeyPrefix =
            uint8(vm.parseJsonUint(json, string.concat(name, ".ephemeralKeyPrefix")));
        r.ephemeralKeyX = word(name, ".ephemeralKeyX");
        r.viewTag = 0x7a;
        r.tag = word(name, ".tag");
        r.relayer = vm.parseJsonAddress(json, string.concat(name, ".relayer"));
        r.fee = uint96(uint256(word(name, ".fee")));
        r.deadline = uint64(uint256(word(name, ".deadline")));
        bytes32[] memory groups = words(name, ".groups");
        bytes32[] memory nullifiers = words(name, ".nullifiers");
        bytes32[] memory roots = words(name, ".roots");
        bytes32[] memory points = words(name, ".points");
        spends = new IVouchers.Spend[](groups.length);
        for (uint256 i = 0; i < groups.length; ++i) {
            spends[i].group = uint256(groups[i]);
            spends[i].nullifier = uint256(nullifiers[i]);
            spends[i].merkleTreeRoot = uint256(roots[i]);
            for (uint256 j = 0; j < 8; ++j) {
                spends[i].points[j] = uint256(points[8 * i + j]);
            }
        }
    }

    function word(string memory name, string memory key) internal view returns (bytes32) {
        return vm.parseJsonBytes32(json, string.concat(name, key));
    }

    function words(string memory name, string memory key) internal view returns (bytes32[] memory) {
        return vm.parseJsonBytes32Array(json, string.concat(name, key));
    }
}

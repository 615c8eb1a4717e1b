// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {Vouchers} from "../src/Vouchers.sol";
import {IVouchers} from "../src/interfaces/IVouchers.sol";
import {RealProofs} from "./support/RealProofs.sol";

/// @dev Semaphore's own verifier, and proofs by Semaphore's own prover (fixtures/generate.mjs).
contract VouchersProofsTest is RealProofs {
    uint256 private constant BASE_FIELD =
        21888242871839275222246405745257275088696311157297823662689037894645226208583;

    /// @dev The fixtures are for this chain and this contract.
    function test_fixture_is_for_this_world() public view {
        assertEq(vm.parseJsonAddress(json, ".vouchers"), address(vouchers), "address");
        assertEq(vm.parseJsonUint(json, ".chainId"), block.chainid, "chain id");
        assertEq(uint256(vm.parseJsonBytes32(json, ".scope")), vouchers.scope(), "scope");
        bytes32 message = vm.parseJsonBytes32(json, ".pair.message");
        (IVouchers.Redemption memory r, IVouchers.Spend[] memory spends) = read(".pair");
        assertEq(messageOf(r, spends), message, "message");
    }

    /// @dev A real proof by an older root pays; the relayer gets its fee.
    function test_real_proof_is_accepted() public {
        (IVouchers.Redemption memory r, IVouchers.Spend[] memory spends) = read(".relayed");
        assertTrue(
            spends[0].merkleTreeRoot != semaphore.getMerkleTreeRoot(0), "the root is an old one"
        );
        vouchers.redeem(r, spends);
        assertEq(RELAYER.balance, r.fee, "fee");
        assertEq(PAYEE.balance, (uint256(SMALL) - r.fee) * 95 / 100, "payee");
    }

    /// @dev Two real proofs of two groups pay the sum.
    function test_two_real_proofs_are_accepted() public {
        (IVouchers.Redemption memory r, IVouchers.Spend[] memory spends) = read(".pair");
        vouchers.redeem(r, spends);
        assertEq(PAYEE.balance, uint256(SMALL + MIDDLE) * 95 / 100, "payee");
    }

    /// @dev A proof works once, and its voucher in no other redemption afterwards.
    function test_replay_is_refused() public {
        (IVouchers.Redemption memory r, IVouchers.Spend[] memory spends) = read(".relayed");
        vouchers.redeem(r, spends);
        expectError(IVouchers.VouchersSpent.selector, 0, spends[0].nullifier);
        vouchers.redeem(r, spends);
    }

    /// @dev Both proofs are valid, but they are of one voucher.
    function test_one_voucher_twice_in_a_call_is_refused() public {
        (IVouchers.Redemption memory r, IVouchers.Spend[] memory spends) = read(".twice");
        expectError(IVouchers.VouchersSpent.selector, 0, spends[0].nullifier);
        vouchers.redeem(r, spends);
    }

    /// @dev Whoever relays can change no field.
    function test_every_field_is_signed() public {
        (IVouchers.Redemption memory r, IVouchers.Spend[] memory spends) = read(".relayed");
        r.payee = BUYER;
        expectInvalid(r, spends, 0);
        (r,) = read(".relayed");
        r.ephemeralKeyPrefix ^= 1;
        expectInvalid(r, spends, 0);
        (r,) = read(".relayed");
        r.ephemeralKeyX ^= bytes32(uint256(1));
        expectInvalid(r, spends, 0);
        (r,) = read(".relayed");
        r.viewTag ^= 0x01;
        expectInvalid(r, spends, 0);
        (r,) = read(".relayed");
        r.tag ^= bytes32(uint256(1));
        expectInvalid(r, spends, 0);
        (r,) = read(".relayed");
        r.relayer = address(0);
        expectInvalid(r, spends, 0);
        (r,) = read(".relayed");
        ++r.fee;
        expectInvalid(r, spends, 0);
        (r,) = read(".relayed");
        ++r.deadline;
        expectInvalid(r, spends, 0);
        (r,) = read(".relayed");
        vouchers.redeem(r, spends);
    }

    /// @dev Another group, root or nullifier is no way round.
    function test_group_root_and_nullifier_are_proved() public {
        (IVouchers.Redemption memory r, IVouchers.Spend[] memory spends) = read(".relayed");
        uint256 root = spends[0].merkleTreeRoot;
        spends[0].group = 1;
        expectError(IVouchers.Semaphore__MerkleTreeRootIsNotPartOfTheGroup.selector);
        vouchers.redeem(r, spends);
        spends[0].merkleTreeRoot = semaphore.getMerkleTreeRoot(1);
        expectInvalid(r, spends, 0);
        spends[0].group = 0;
        spends[0].merkleTreeRoot = semaphore.getMerkleTreeRoot(0);
        expectInvalid(r, spends, 0);
        spends[0].merkleTreeRoot = root + FIELD;
        expectError(IVouchers.Semaphore__MerkleTreeRootIsNotPartOfTheGroup.selector);
        vouchers.redeem(r, spends);
        spends[0].merkleTreeRoot = root;
        spends[0].nullifier ^= 1;
        expectInvalid(r, spends, 0);
    }

    /// @dev A nullifier has one name: adding the field's order gives no second one.
    function test_nullifier_plus_field_is_refused() public {
        (IVouchers.Redemption memory r, IVouchers.Spend[] memory spends) = read(".relayed");
        spends[0].nullifier += FIELD;
        expectInvalid(r, spends, 0);
    }

    /// @dev Any changed bit of the proof makes it wrong.
    function testFuzz_changed_points_are_refused(uint256 point, uint256 bit) public {
        (IVouchers.Redemption memory r, IVouchers.Spend[] memory spends) = read(".relayed");
        spends[0].points[point % 8] ^= 1 << (bit % 256);
        expectInvalid(r, spends, 0);
    }

    /// @dev Coordinates beyond the base field, zeros and a point off the curve are wrong proofs.
    function test_unreduced_and_zero_points_are_refused() public {
        (IVouchers.Redemption memory r, IVouchers.Spend[] memory spends) = read(".relayed");
        for (uint256 i = 0; i < 8; ++i) {
            uint256 right = spends[0].points[i];
            // the second coordinate is negated modulo the field, which reduces it: no new voucher
            if (i != 1) {
                spends[0].points[i] = right + BASE_FIELD;
                expectInvalid(r, spends, 0);
            }
            spends[0].points[i] = 0;
            expectInvalid(r, spends, 0);
            spends[0].points[i] = right;
        }
        uint256[8] memory none;
        spends[0].points = none;
        expectInvalid(r, spends, 0);
    }

    /// @dev Anybody can make another valid proof out of one, (-A, -B, C). It spends the same
    /// voucher, once.
    function test_malleated_proof_spends_nothing_more() public {
        (IVouchers.Redemption memory r, IVouchers.Spend[] memory spends) = read(".relayed");
        uint256[8] memory points = spends[0].points;
        points[1] = BASE_FIELD - points[1];
        points[4] = BASE_FIELD - points[4];
        points[5] = BASE_FIELD - points[5];
        uint256[8] memory first = spends[0].points;
        spends[0].points = points;
        vouchers.redeem(r, spends);
        spends[0].points = first;
        expectError(IVouchers.VouchersSpent.selector, 0, spends[0].nullifier);
        vouchers.redeem(r, spends);
    }

    /// @dev No proof can be left out, added, swapped or put in another order.
    function test_the_set_of_proofs_is_signed() public {
        (IVouchers.Redemption memory r, IVouchers.Spend[] memory pair) = read(".pair");
        IVouchers.Spend[] memory less = new IVouchers.Spend[](1);
        less[0] = pair[0];
        expectInvalid(r, less, 0);
        less[0] = pair[1];
        expectInvalid(r, less, 0);
        (, IVouchers.Spend[] memory relayed) = read(".relayed");
        IVouchers.Spend[] memory more = new IVouchers.Spend[](3);
        (more[0], more[1], more[2]) = (pair[0], pair[1], relayed[0]);
        expectInvalid(r, more, 0);
        (pair[0], pair[1]) = (pair[1], pair[0]);
        expectInvalid(r, pair, 0);
        (pair[0], pair[1]) = (pair[1], pair[0]);
        (pair[0].points, pair[1].points) = (pair[1].points, pair[0].points);
        expectInvalid(r, pair, 0);
        (pair[0].points, pair[1].points) = (pair[1].points, pair[0].points);
        vouchers.redeem(r, pair);
    }

    /// @dev A proof for one contract or chain is worthless on another.
    function test_proof_is_bound_to_chain_and_contract() public {
        (IVouchers.Redemption memory r, IVouchers.Spend[] memory spends) = read(".relayed");
        vm.chainId(1);
        expectInvalid(r, spends, 0);
        vm.chainId(31337);
        Vouchers other = newVouchers(300, 200, table());
        uint256 group = other.currentGroup(0);
        bytes32[] memory commitments = vm.parseJsonBytes32Array(json, ".commitments");
        vm.deal(address(this), 2 * uint256(SMALL));
        other.deposit{value: SMALL}(0, uint256(commitments[0]));
        other.deposit{value: SMALL}(0, uint256(commitments[1]));
        assertEq(semaphore.getMerkleTreeRoot(group), spends[0].merkleTreeRoot, "the same root");
        spends[0].group = group;
        expectError(IVouchers.VouchersInvalidProof.selector, 0);
        other.redeem(r, spends);
    }

    /// @dev A stranger can send the proof to Semaphore's own validateProof first, which marks the
    /// nullifier there. The voucher is not lost.
    function test_stranger_cannot_burn_a_voucher() public {
        (IVouchers.Redemption memory r, IVouchers.Spend[] memory spends) = read(".relayed");
        semaphore.validateProof(0, semaphoreProof(r, spends));
        vouchers.redeem(r, spends);
        assertTrue(PAYEE.balance != 0, "paid");
    }

    /// @dev A relayer that gives too little gas spends nothing of the voucher.
    function testFuzz_too_little_gas_changes_nothing(uint256 gasLimit) public {
        (IVouchers.Redemption memory r, IVouchers.Spend[] memory spends) = read(".relayed");
        gasLimit = 21_000 + gasLimit % 400_000;
        try vouchers.redeem{gas: gasLimit}(r, spends) {
            (uint256 forTreasury, uint256 forPool) = vouchers.accrued();
            uint256 paid = PAYEE.balance + RELAYER.balance + vouchers.owed(PAYEE)
                + vouchers.owed(RELAYER) + forTreasury + forPool;
            assertEq(paid, SMALL, "all of it is paid or owed");
        } catch {
            assertEq(vouchers.spentBy(0, spends[0].nullifier), bytes32(0), "not spent");
        }
    }

    function expectInvalid(
        IVouchers.Redemption memory r,
        IVouchers.Spend[] memory spends,
        uint256 index
    ) internal {
        expectError(IVouchers.VouchersInvalidProof.selector, index);
        vouchers.redeem(r, spends);
    }
}

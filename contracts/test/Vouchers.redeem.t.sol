// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {IERC5564Announcer} from "../src/interfaces/IERC5564Announcer.sol";
import {IVouchers} from "../src/interfaces/IVouchers.sol";
import {World} from "./support/World.sol";

/// @dev State and money; proofs are the stub verifier's. See Vouchers.proofs.t.sol for real ones.
contract VouchersRedeemTest is World {
    function setUp() public override {
        super.setUp();
        for (uint256 i = 1; i <= 9; ++i) {
            deposit(0, i);
        }
        deposit(1, 1);
        deposit(2, 1);
    }

    /// @dev 95/3/2 of what is left after the fee; events, announcement and record say all of it.
    function test_redeem_pays_records_and_announces() public {
        IVouchers.Redemption memory redemption = redemptionTo(PAYEE);
        redemption.fee = SMALL / 10;
        redemption.relayer = RELAYER;
        bytes32 message = vouchers.messageOf(redemption, one(0), one(11));
        IVouchers.Spend[] memory spends = prove(redemption, one(0), one(11));
        vm.expectEmit(address(vouchers));
        emit IVouchers.Redeemed(message, redemption.tag, PAYEE, SMALL, SMALL / 10, one(0), one(11));
        vm.expectEmit(address(announcer));
        emit IERC5564Announcer.Announcement(
            1,
            PAYEE,
            address(vouchers),
            abi.encodePacked(uint8(3), redemption.ephemeralKeyX),
            hex"7a"
        );
        vouchers.redeem(redemption, spends);

        uint256 net = uint256(SMALL) * 9 / 10;
        (uint256 forTreasury, uint256 forPool) = vouchers.accrued();
        assertEq(RELAYER.balance, SMALL / 10, "fee");
        assertEq(forTreasury, net * 3 / 100, "treasury");
        assertEq(forPool, net * 2 / 100, "pool");
        assertEq(PAYEE.balance, net * 95 / 100, "payee");
        assertEq(vouchers.spentBy(0, 11), message, "spent by this message");
        IVouchers.Record memory record = vouchers.recordOf(redemption, one(0), one(11));
        assertEq(record.gross, SMALL, "gross");
        assertEq(record.fee, SMALL / 10, "recorded fee");
        assertEq(record.payee, PAYEE, "recorded payee");
        assertEq(record.tag, redemption.tag, "recorded tag");
    }

    /// @dev The message is the one that other programs compute.
    function test_message_is_as_documented() public view {
        IVouchers.Redemption memory r = redemptionTo(PAYEE);
        uint256[] memory groups = new uint256[](2);
        uint256[] memory nullifiers = new uint256[](2);
        (groups[1], nullifiers[0], nullifiers[1]) = (2, 8, 9);
        bytes memory head =
            abi.encode(block.chainid, address(vouchers), r.payee, r.ephemeralKeyPrefix);
        bytes memory middle =
            abi.encode(r.ephemeralKeyX, r.viewTag, r.tag, r.relayer, r.fee, r.deadline);
        // two offsets, then the arrays with their lengths
        bytes memory tail = abi.encode(uint256(384), uint256(480), 2, 0, 2, 2, 8, 9);
        assertEq(
            vouchers.messageOf(r, groups, nullifiers),
            keccak256(bytes.concat(head, middle, tail)),
            "message"
        );
    }

    /// @dev No record before the redemption, none for a changed one, none for nothing.
    function test_record_is_of_this_redemption_only() public {
        IVouchers.Redemption memory redemption = redemptionTo(PAYEE);
        expectNoRecord(redemption, one(0), one(1));
        redeem(redemption, one(0), one(1));
        vouchers.recordOf(redemption, one(0), one(1));
        expectNoRecord(redemption, one(1), one(1));
        expectNoRecord(redemption, one(0), one(2));
        expectNoRecord(redemption, new uint256[](0), new uint256[](0));
        expectNoRecord(redemption, one(0), new uint256[](0));
        redemption.tag = keccak256("another");
        expectNoRecord(redemption, one(0), one(1));
    }

    /// @dev The relayer 0 is whoever sends it.
    function test_relayer_zero_is_the_sender() public {
        IVouchers.Redemption memory redemption = redemptionTo(PAYEE);
        redemption.fee = 7;
        IVouchers.Spend[] memory spends = prove(redemption, one(0), one(1));
        vm.prank(address(0x5e17de7));
        vouchers.redeem(redemption, spends);
        assertEq(address(0x5e17de7).balance, 7, "fee");
    }

    /// @dev A voucher is spent once: not by another message, nor by the same one again.
    function test_voucher_is_spent_once() public {
        IVouchers.Redemption memory redemption = redemptionTo(PAYEE);
        redeem(redemption, one(0), one(1));
        IVouchers.Spend[] memory again = prove(redemption, one(0), one(1));
        expectError(IVouchers.VouchersSpent.selector, 0, 1);
        vouchers.redeem(redemption, again);
        redemption.tag = keccak256("another");
        again = prove(redemption, one(0), one(1));
        expectError(IVouchers.VouchersSpent.selector, 0, 1);
        vouchers.redeem(redemption, again);
        // the same nullifier in another group is another voucher
        redeem(redemption, one(1), one(1));
    }

    /// @dev A voucher counts once within one call too, wherever in it.
    function testFuzz_voucher_counts_once_in_a_call(uint256 i, uint256 j) public {
        (i, j) = (i % 8, j % 8);
        if (i == j) j = (i + 1) % 8;
        uint256[] memory groups = new uint256[](8);
        uint256[] memory nullifiers = new uint256[](8);
        for (uint256 k = 0; k < 8; ++k) {
            nullifiers[k] = 100 + k;
        }
        nullifiers[j] = nullifiers[i];
        IVouchers.Redemption memory redemption = redemptionTo(PAYEE);
        IVouchers.Spend[] memory spends = prove(redemption, groups, nullifiers);
        expectError(IVouchers.VouchersSpent.selector, 0, nullifiers[i]);
        vouchers.redeem(redemption, spends);
        assertEq(vouchers.spentBy(0, nullifiers[i]), bytes32(0), "nothing is marked");
    }

    /// @dev One wrong proof among right ones stops all.
    function testFuzz_every_proof_counts(uint256 wrong, uint256 bit) public {
        wrong %= 8;
        uint256[] memory groups = new uint256[](8);
        uint256[] memory nullifiers = new uint256[](8);
        for (uint256 k = 0; k < 8; ++k) {
            nullifiers[k] = 100 + k;
        }
        IVouchers.Redemption memory redemption = redemptionTo(PAYEE);
        IVouchers.Spend[] memory spends = prove(redemption, groups, nullifiers);
        spends[wrong].points[0] ^= 1 << (bit % 256);
        expectError(IVouchers.VouchersInvalidProof.selector, wrong);
        vouchers.redeem(redemption, spends);
        spends[wrong].points[0] ^= 1 << (bit % 256);
        vouchers.redeem(redemption, spends);
    }

    /// @dev From one to eight vouchers.
    function test_redeem_limits_the_number_of_vouchers() public {
        IVouchers.Redemption memory redemption = redemptionTo(PAYEE);
        expectError(IVouchers.VouchersSpendCount.selector, 0);
        vouchers.redeem(redemption, new IVouchers.Spend[](0));
        expectError(IVouchers.VouchersSpendCount.selector, 9);
        vouchers.redeem(redemption, new IVouchers.Spend[](9));
    }

    /// @dev The deadline is the last second in which it works.
    function test_deadline() public {
        IVouchers.Redemption memory redemption = redemptionTo(PAYEE);
        redemption.deadline = uint64(block.timestamp + 60);
        IVouchers.Spend[] memory spends = prove(redemption, one(0), one(1));
        vm.warp(redemption.deadline + 1);
        expectError(IVouchers.VouchersExpired.selector, redemption.deadline);
        vouchers.redeem(redemption, spends);
        vm.warp(redemption.deadline);
        vouchers.redeem(redemption, spends);
    }

    /// @dev A fee is at most a tenth of all vouchers together.
    function test_fee_cap() public {
        IVouchers.Redemption memory redemption = redemptionTo(PAYEE);
        redemption.fee = (SMALL + MIDDLE) / 10 + 1;
        uint256[] memory groups = new uint256[](2);
        groups[1] = 1;
        uint256[] memory nullifiers = new uint256[](2);
        IVouchers.Spend[] memory spends = prove(redemption, groups, nullifiers);
        expectError(IVouchers.VouchersFeeTooHigh.selector, redemption.fee, (SMALL + MIDDLE) / 10);
        vouchers.redeem(redemption, spends);
        redemption.fee -= 1;
        redeem(redemption, groups, nullifiers);
    }

    /// @dev Payee 0 and keys that are no compressed points are refused before anything is marked.
    function test_redeem_refuses_malformed_redemptions() public {
        IVouchers.Redemption memory redemption = redemptionTo(address(0));
        IVouchers.Spend[] memory spends = prove(redemption, one(0), one(1));
        expectError(IVouchers.VouchersZeroPayee.selector);
        vouchers.redeem(redemption, spends);
        redemption = redemptionTo(PAYEE);
        for (uint256 prefix = 0; prefix < 256; ++prefix) {
            if (prefix == 2 || prefix == 3) continue;
            redemption.ephemeralKeyPrefix = uint8(prefix);
            expectError(IVouchers.VouchersMalformedEphemeralKey.selector, prefix);
            vouchers.redeem(redemption, spends);
        }
        redemption.ephemeralKeyPrefix = 2;
        redeem(redemption, one(0), one(1));
    }

    /// @dev Root 0 is refused before Semaphore is asked, and so is a root the group never had.
    function test_redeem_refuses_roots_the_group_never_had() public {
        IVouchers.Redemption memory redemption = redemptionTo(PAYEE);
        IVouchers.Spend[] memory spends = prove(redemption, one(0), one(1));
        spends[0].merkleTreeRoot = 0;
        expectError(IVouchers.VouchersZeroRoot.selector);
        vouchers.redeem(redemption, spends);
        spends[0].merkleTreeRoot = 12345;
        expectError(IVouchers.Semaphore__MerkleTreeRootIsNotPartOfTheGroup.selector);
        vouchers.redeem(redemption, spends);
    }

    /// @dev An empty group has no roots.
    function test_redeem_from_an_empty_group() public {
        changeShares(400, 200);
        uint256 group = vouchers.currentGroup(0);
        IVouchers.Redemption memory redemption = redemptionTo(PAYEE);
        IVouchers.Spend[] memory spends = prove(redemption, one(group), one(1));
        spends[0].merkleTreeRoot = 1;
        expectError(IVouchers.Semaphore__GroupHasNoMembers.selector);
        vouchers.redeem(redemption, spends);
    }

    /// @dev A root stays good for centuries.
    function test_old_roots_stay_good() public {
        IVouchers.Redemption memory redemption = redemptionTo(PAYEE);
        IVouchers.Spend[] memory spends = prove(redemption, one(0), one(1));
        deposit(0, 1000);
        vm.warp(block.timestamp + 300 * 365 days);
        vouchers.redeem(redemption, spends);
        assertTrue(vouchers.spentBy(0, 1) != 0, "spent");
    }

    /// @dev Shares are rounded down, the payee gets what is left, and nothing is lost or made.
    function testFuzz_split_is_exact(uint256 denomination, uint96 fee) public {
        denomination %= 3;
        uint256 gross = amountOf(denomination);
        IVouchers.Redemption memory redemption = redemptionTo(PAYEE);
        redemption.fee = uint96(fee % (gross / 10 + 1));
        redemption.relayer = RELAYER;
        uint256 before = address(vouchers).balance;
        redeem(redemption, one(denomination), one(1));
        (uint256 forTreasury, uint256 forPool) = vouchers.accrued();
        uint256 net = gross - redemption.fee;
        assertEq(forTreasury, net * 3 / 100, "3% rounded down");
        assertEq(forPool, net * 2 / 100, "2% rounded down");
        assertEq(RELAYER.balance, redemption.fee, "fee");
        assertEq(PAYEE.balance, net - forTreasury - forPool, "all the rest");
        assertEq(before - address(vouchers).balance, RELAYER.balance + PAYEE.balance, "no more");
    }

    function expectNoRecord(
        IVouchers.Redemption memory redemption,
        uint256[] memory groups,
        uint256[] memory nullifiers
    ) internal {
        bytes32 message = vouchers.messageOf(redemption, groups, nullifiers);
        vm.expectRevert(abi.encodeWithSelector(IVouchers.VouchersNotRedeemed.selector, message));
        vouchers.recordOf(redemption, groups, nullifiers);
    }
}

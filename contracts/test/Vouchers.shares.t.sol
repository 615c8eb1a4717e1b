// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {IVouchers} from "../src/interfaces/IVouchers.sol";
import {World} from "./support/World.sol";

contract VouchersSharesTest is World {
    /// @dev 94/4/2 through the timelock: vouchers bought before are split 95/3/2, later ones anew.
    function test_change_never_touches_vouchers_already_bought() public {
        deposit(0, 1);
        changeShares(400, 200);
        deposit(0, 2);
        assertEq(vouchers.currentGroup(0), 3, "a new group");

        redeem(redemptionTo(PAYEE), one(0), one(1));
        (uint256 forTreasury, uint256 forPool) = vouchers.accrued();
        assertEq(forTreasury, uint256(SMALL) * 3 / 100, "3%");
        assertEq(forPool, uint256(SMALL) * 2 / 100, "2%");
        vouchers.collect();

        redeem(redemptionTo(address(0x2)), one(3), one(1));
        (forTreasury, forPool) = vouchers.accrued();
        assertEq(forTreasury, uint256(SMALL) * 4 / 100, "4%");
        assertEq(forPool, uint256(SMALL) * 2 / 100, "2%");
    }

    /// @dev Every denomination gets a new group with the new shares; the old ones stay as they are.
    function test_change_opens_groups() public {
        changeShares(400, 100);
        (uint256 treasuryShare, uint256 poolShare) = vouchers.shares();
        assertEq(treasuryShare, 400, "treasury");
        assertEq(poolShare, 100, "pool");
        for (uint256 i = 0; i < 3; ++i) {
            assertEq(vouchers.currentGroup(i), 3 + i, "current");
            IVouchers.Group memory old = vouchers.groupOf(i);
            IVouchers.Group memory current = vouchers.groupOf(3 + i);
            assertEq(old.treasuryShare, 300, "old treasury");
            assertEq(old.poolShare, 200, "old pool");
            assertEq(current.treasuryShare, 400, "new treasury");
            assertEq(current.poolShare, 100, "new pool");
            assertEq(current.amount, old.amount, "amount");
            assertEq(current.denomination, i, "denomination");
        }
    }

    /// @dev Vouchers with different shares in one call: each counts with its own.
    function test_mixed_shares_are_weighted() public {
        deposit(0, 1);
        changeShares(500, 0);
        deposit(2, 2);
        uint256[] memory groups = new uint256[](2);
        groups[1] = 5;
        uint256[] memory nullifiers = new uint256[](2);
        redeem(redemptionTo(PAYEE), groups, nullifiers);
        (uint256 forTreasury, uint256 forPool) = vouchers.accrued();
        assertEq(forTreasury, uint256(SMALL) * 3 / 100 + uint256(LARGE) * 5 / 100, "treasury");
        assertEq(forPool, uint256(SMALL) * 2 / 100, "pool");
    }

    /// @dev 80/15/5 is beyond the cap, and the timelock's call reverts with that error.
    function test_caps_hold_against_the_timelock() public {
        vm.prank(address(timelock));
        expectError(IVouchers.VouchersShareTooHigh.selector, 1500, 500);
        vouchers.setShares(1500, 500);
        bytes memory data = abi.encodeCall(IVouchers.setShares, (1500, 500));
        vm.prank(PROPOSER);
        timelock.schedule(address(vouchers), 0, data, 0, 0, DELAY);
        vm.warp(block.timestamp + DELAY);
        expectError(IVouchers.VouchersShareTooHigh.selector, 1500, 500);
        timelock.execute(address(vouchers), 0, data, 0, 0);
    }

    /// @dev Nothing beyond 5% each, whatever the numbers; no cast cuts them to fit.
    function testFuzz_caps(uint256 treasuryShare, uint256 poolShare) public {
        vm.prank(address(timelock));
        if (treasuryShare > 500 || poolShare > 500) {
            expectError(IVouchers.VouchersShareTooHigh.selector, treasuryShare, poolShare);
        } else if (treasuryShare == 300 && poolShare == 200) {
            expectError(IVouchers.VouchersSharesUnchanged.selector);
        }
        vouchers.setShares(treasuryShare, poolShare);
    }

    /// @dev The whole range that is allowed splits exactly.
    function testFuzz_split_at_any_shares(uint256 treasuryShare, uint256 poolShare, uint96 fee)
        public
    {
        (treasuryShare, poolShare) = (treasuryShare % 501, poolShare % 501);
        if (treasuryShare != 300 || poolShare != 200) changeShares(treasuryShare, poolShare);
        deposit(2, 1);
        IVouchers.Redemption memory redemption = redemptionTo(PAYEE);
        redemption.fee = fee % (LARGE / 10 + 1);
        redemption.relayer = RELAYER;
        redeem(redemption, one(vouchers.currentGroup(2)), one(1));
        uint256 net = LARGE - redemption.fee;
        (uint256 forTreasury, uint256 forPool) = vouchers.accrued();
        assertEq(forTreasury, net * treasuryShare / 10_000, "treasury");
        assertEq(forPool, net * poolShare / 10_000, "pool");
        assertEq(PAYEE.balance, net - forTreasury - forPool, "payee");
    }

    /// @dev Setting what is set already would only make the crowds smaller.
    function test_unchanged_shares_are_refused() public {
        vm.prank(address(timelock));
        expectError(IVouchers.VouchersSharesUnchanged.selector);
        vouchers.setShares(300, 200);
    }

    /// @dev Nobody but the timelock: not its proposer, not the deployer, not anyone.
    function testFuzz_timelock_only(address caller) public {
        if (caller == address(timelock)) return;
        expectUnauthorized(caller);
        expectUnauthorized(PROPOSER);
        expectUnauthorized(DEPLOYER);
        expectUnauthorized(address(treasury));
    }

    function expectUnauthorized(address caller) internal {
        vm.prank(caller);
        expectError(IVouchers.VouchersUnauthorized.selector, caller);
        vouchers.setShares(400, 200);
    }
}

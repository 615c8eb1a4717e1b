// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {ISemaphore} from "@semaphore-protocol/contracts/interfaces/ISemaphore.sol";
import {Vouchers} from "../src/Vouchers.sol";
import {IERC5564Announcer} from "../src/interfaces/IERC5564Announcer.sol";
import {IVouchers} from "../src/interfaces/IVouchers.sol";
import {World} from "./support/World.sol";

contract VouchersConstructionTest is World {
    /// @dev What was given is what is there.
    function test_construction() public view {
        assertEq(vouchers.semaphore(), address(semaphore), "semaphore");
        assertEq(vouchers.announcer(), address(announcer), "announcer");
        assertEq(vouchers.timelock(), address(timelock), "timelock");
        assertEq(vouchers.treasury(), address(treasury), "treasury");
        assertEq(vouchers.pool(), address(pool), "pool");
        assertEq(
            vouchers.scope(),
            uint256(keccak256(abi.encode("bits.voucher.v1", block.chainid, address(vouchers)))),
            "scope"
        );
        IVouchers.Denomination[] memory rows = vouchers.denominations();
        assertEq(rows.length, 3, "rows");
        for (uint256 i = 0; i < 3; ++i) {
            assertEq(rows[i].amount, amountOf(i), "amount");
            assertEq(rows[i].asset, address(0), "asset");
            assertEq(vouchers.currentGroup(i), i, "group");
            assertEq(semaphore.getGroupAdmin(i), address(vouchers), "admin of the group");
            assertEq(semaphore.groups(i), type(uint64).max, "roots never expire");
        }
    }

    /// @dev After deployment the timelock is its own only administrator, nobody can cancel or
    /// propose but the proposer, and the deployer has no role anywhere.
    function test_nobody_has_an_owner_key() public view {
        bytes32[4] memory roles = [
            timelock.DEFAULT_ADMIN_ROLE(),
            timelock.PROPOSER_ROLE(),
            timelock.EXECUTOR_ROLE(),
            timelock.CANCELLER_ROLE()
        ];
        address[3] memory people = [DEPLOYER, address(this), BUYER];
        for (uint256 i = 0; i < roles.length; ++i) {
            for (uint256 j = 0; j < people.length; ++j) {
                assertTrue(!timelock.hasRole(roles[i], people[j]), "no role");
            }
        }
        assertTrue(timelock.hasRole(roles[0], address(timelock)), "administers itself");
        assertTrue(!timelock.hasRole(roles[0], PROPOSER), "the proposer does not");
    }

    /// @dev The timelock's delay cannot be changed but through the timelock.
    function test_delay_is_the_timelocks_own() public {
        vm.prank(PROPOSER);
        vm.expectRevert();
        timelock.updateDelay(0);
        throughTimelock(address(timelock), abi.encodeCall(TimelockController.updateDelay, (3 days)));
        assertEq(timelock.getMinDelay(), 3 days, "changed");
    }

    /// @dev Tokens come later: their place is in the table, and until then it must be 0.
    function test_other_assets_are_refused() public {
        IVouchers.Denomination[] memory rows = table();
        rows[1].asset = address(0x70ce17);
        expectError(IVouchers.VouchersUnsupportedAsset.selector, address(0x70ce17));
        newVouchers(300, 200, rows);
    }

    /// @dev 1, 2 or 5 times a power of ten, and nothing else.
    function testFuzz_amounts_are_round(uint96 amount) public {
        IVouchers.Denomination[] memory rows = new IVouchers.Denomination[](1);
        rows[0].amount = amount;
        uint256 digits = amount;
        while (digits != 0 && digits % 10 == 0) digits /= 10;
        if (digits != 1 && digits != 2 && digits != 5) {
            expectError(IVouchers.VouchersAmountNotRound.selector, amount);
        }
        newVouchers(300, 200, rows);
    }

    /// @dev All powers of ten, once, twice and five times.
    function test_round_amounts_are_accepted() public {
        IVouchers.Denomination[] memory rows = new IVouchers.Denomination[](32);
        uint96 amount = 1 gwei;
        for (uint256 i = 0; i < 32; ++i) {
            rows[i].amount = amount;
            amount = i % 3 == 1 ? amount / 2 * 5 : amount * 2;
        }
        assertEq(newVouchers(300, 200, rows).denominations().length, 32, "rows");
    }

    /// @dev No denomination twice, in any order but the rising one.
    function test_amounts_rise() public {
        IVouchers.Denomination[] memory rows = table();
        rows[2].amount = rows[1].amount;
        expectError(IVouchers.VouchersAmountsNotRising.selector, MIDDLE);
        newVouchers(300, 200, rows);
        rows[2].amount = SMALL;
        expectError(IVouchers.VouchersAmountsNotRising.selector, SMALL);
        newVouchers(300, 200, rows);
    }

    /// @dev From one row to 32: setting new shares opens a group for each, in one transaction.
    function test_table_has_limits() public {
        expectError(IVouchers.VouchersDenominationCount.selector, 0);
        newVouchers(300, 200, new IVouchers.Denomination[](0));
        expectError(IVouchers.VouchersDenominationCount.selector, 33);
        newVouchers(300, 200, new IVouchers.Denomination[](33));
    }

    /// @dev The caps hold from the first moment.
    function test_first_shares_are_capped() public {
        expectError(IVouchers.VouchersShareTooHigh.selector, 501, 0);
        newVouchers(501, 0, table());
        expectError(IVouchers.VouchersShareTooHigh.selector, 0, 501);
        newVouchers(0, 501, table());
        newVouchers(0, 0, table());
    }

    /// @dev An account with a key in place of any of the contracts is refused.
    function test_needs_contracts() public {
        address[5] memory good = [
            address(semaphore),
            address(announcer),
            address(timelock),
            address(treasury),
            address(pool)
        ];
        for (uint256 i = 0; i < 5; ++i) {
            address[5] memory given = good;
            given[i] = BUYER;
            expectError(IVouchers.VouchersNotAContract.selector, BUYER);
            new Vouchers(
                ISemaphore(given[0]),
                IERC5564Announcer(given[1]),
                given[2],
                given[3],
                given[4],
                300,
                200,
                table()
            );
        }
    }

    /// @dev Questions about what is not there have an answer with a name.
    function test_unknown_denomination_has_no_group() public {
        expectError(IVouchers.VouchersUnknownDenomination.selector, 3);
        vouchers.currentGroup(3);
    }
}

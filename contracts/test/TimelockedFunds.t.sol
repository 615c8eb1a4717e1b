// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {Treasury} from "../src/Treasury.sol";
import {ITimelockedFunds} from "../src/interfaces/ITimelockedFunds.sol";
import {RefusingPayee} from "./support/Payees.sol";
import {World} from "./support/World.sol";

/// @dev What treasury and operators' pool have in common; each test runs on both.
abstract contract TimelockedFundsTest is World {
    ITimelockedFunds internal funds;

    /// @dev Anyone pays in; only the timelock pays out, after its delay.
    function test_timelock_pays() public {
        vm.deal(BUYER, 10);
        vm.expectEmit(address(funds));
        emit ITimelockedFunds.Received(BUYER, 10);
        vm.prank(BUYER);
        (bool accepted,) = address(funds).call{value: 10}("");
        assertTrue(accepted, "paid in");
        throughTimelock(address(funds), abi.encodeCall(ITimelockedFunds.pay, (PAYEE, 4)));
        assertEq(PAYEE.balance, 4, "paid out");
        assertEq(address(funds).balance, 6, "left");
    }

    /// @dev Nobody else, not even the proposer.
    function testFuzz_nobody_else_pays(address caller) public {
        if (caller == address(timelock)) return;
        vm.deal(address(funds), 10);
        vm.prank(caller);
        expectError(ITimelockedFunds.FundsUnauthorized.selector, caller);
        funds.pay(caller, 1);
        vm.prank(PROPOSER);
        expectError(ITimelockedFunds.FundsUnauthorized.selector, PROPOSER);
        funds.pay(PROPOSER, 1);
    }

    /// @dev More than there is, nobody, and a payee that refuses, are errors with a name.
    function test_impossible_payments() public {
        vm.deal(address(funds), 10);
        vm.prank(address(timelock));
        expectError(ITimelockedFunds.FundsTooLow.selector, 10, 11);
        funds.pay(PAYEE, 11);
        vm.prank(address(timelock));
        expectError(ITimelockedFunds.FundsZeroPayee.selector);
        funds.pay(address(0), 1);
        address closed = address(new RefusingPayee());
        vm.prank(address(timelock));
        expectError(ITimelockedFunds.FundsPaymentRefused.selector, closed);
        funds.pay(closed, 10);
    }

    /// @dev The timelock is a contract: an account with a key would be an owner.
    function test_needs_a_contract_as_timelock() public {
        expectError(ITimelockedFunds.FundsNotAContract.selector, PROPOSER);
        new Treasury(PROPOSER);
        assertEq(funds.timelock(), address(timelock), "timelock");
    }
}

contract TreasuryTest is TimelockedFundsTest {
    function setUp() public override {
        super.setUp();
        funds = treasury;
    }
}

contract OperatorPoolTest is TimelockedFundsTest {
    function setUp() public override {
        super.setUp();
        funds = pool;
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Vouchers} from "../src/Vouchers.sol";
import {IPayouts} from "../src/interfaces/IPayouts.sol";
import {IVouchers} from "../src/interfaces/IVouchers.sol";
import {BombPayee, BurningPayee, ReenteringPayee, RefusingPayee} from "./support/Payees.sol";
import {World} from "./support/World.sol";

contract VouchersPayoutsTest is World {
    uint256 private constant NET = uint256(SMALL) * 95 / 100;

    function setUp() public override {
        super.setUp();
        deposit(0, 1);
        deposit(0, 2);
        deposit(0, 3);
    }

    /// @dev A payee that refuses stops nobody: its money waits, and anyone may send it on.
    function test_refused_payment_waits() public {
        RefusingPayee payee = new RefusingPayee();
        IVouchers.Redemption memory redemption = redemptionTo(address(payee));
        redemption.fee = 5;
        redemption.relayer = RELAYER;
        redeem(redemption, one(0), one(1));
        uint256 waiting = vouchers.owed(address(payee));
        assertEq(
            waiting, uint256(SMALL - 5) - (SMALL - 5) * 3 / 100 - (SMALL - 5) * 2 / 100, "owed"
        );
        assertEq(RELAYER.balance, 5, "the relayer is paid");

        expectError(IVouchers.VouchersPaymentRefused.selector, address(payee));
        vouchers.withdraw(address(payee));
        assertEq(vouchers.owed(address(payee)), waiting, "goes on waiting");

        payee.open();
        vm.expectEmit(address(vouchers));
        emit IPayouts.Withdrawn(address(payee), waiting);
        vm.prank(address(0x57a96e4));
        vouchers.withdraw(address(payee));
        assertEq(address(payee).balance, waiting, "paid");
        expectError(IVouchers.VouchersNothingOwed.selector, address(payee));
        vouchers.withdraw(address(payee));
    }

    /// @dev What two redemptions owe one payee adds up.
    function test_owed_adds_up() public {
        RefusingPayee payee = new RefusingPayee();
        redeem(redemptionTo(address(payee)), one(0), one(1));
        vm.expectEmit(address(vouchers));
        emit IPayouts.PaymentDeferred(address(payee), NET);
        redeem(redemptionTo(address(payee)), one(0), one(2));
        assertEq(vouchers.owed(address(payee)), 2 * NET, "owed");
    }

    /// @dev A relayer that refuses its fee loses it for the moment, and nobody else anything.
    function test_refusing_relayer_stops_nobody() public {
        RefusingPayee relayer = new RefusingPayee();
        IVouchers.Redemption memory redemption = redemptionTo(PAYEE);
        redemption.relayer = address(relayer);
        redemption.fee = SMALL / 10;
        redeem(redemption, one(0), one(1));
        assertEq(vouchers.owed(address(relayer)), SMALL / 10, "owed");
        assertEq(PAYEE.balance, uint256(SMALL) * 9 / 10 * 95 / 100, "paid");
    }

    /// @dev A payee that burns gas, or reverts with much data, costs the relayer 30,000 gas.
    function test_burning_payees_cost_little() public {
        uint256 plain = gasOf(address(new RefusingPayee()), 1);
        uint256 burning = gasOf(address(new BurningPayee()), 2);
        uint256 bomb = gasOf(address(new BombPayee()), 3);
        assertTrue(burning < plain + 35_000, "burning");
        assertTrue(bomb < plain + 35_000, "bomb");
    }

    /// @dev A payee has 30,000 gas, and uses them for what it likes but for coming back.
    function test_payee_cannot_reenter() public {
        ReenteringPayee payee = new ReenteringPayee(vouchers);
        IVouchers.Redemption memory redemption = redemptionTo(PAYEE);
        bytes[4] memory plans = [
            abi.encodeCall(IPayouts.withdraw, (address(payee))),
            abi.encodeCall(IPayouts.collect, ()),
            abi.encodeCall(IVouchers.setShares, (1, 1)),
            abi.encodeCall(IVouchers.redeem, (redemption, prove(redemption, one(0), one(7))))
        ];
        // It is made to wait and then withdraws, which gives it all the gas there is.
        for (uint256 i = 0; i < plans.length; ++i) {
            payee.plan(plans[i], 0);
            uint256 before = payee.calls();
            owe(address(payee), 100 + i);
            uint256 waiting = vouchers.owed(address(payee));
            vouchers.withdraw(address(payee));
            assertEq(payee.calls(), before + 1, "it was called");
            assertTrue(!payee.entered(), "but did not get in");
            assertEq(
                payee.answer(),
                abi.encodeWithSelector(
                    ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector
                ),
                "because of the lock"
            );
            assertEq(vouchers.owed(address(payee)), 0, "paid once");
            assertTrue(waiting != 0, "something");
        }
    }

    /// @dev A payee may buy a voucher with the money while it is being paid, as it may afterwards.
    function test_payee_may_deposit_while_it_is_paid() public {
        ReenteringPayee payee = new ReenteringPayee(vouchers);
        payee.plan(abi.encodeCall(IVouchers.deposit, (0, 77)), SMALL);
        owe(address(payee), 100);
        owe(address(payee), 101);
        vouchers.withdraw(address(payee));
        assertTrue(payee.entered(), "it did");
        assertTrue(semaphore.hasMember(0, 77), "bought");
        assertEq(address(payee).balance, 2 * NET - SMALL, "paid for");
        (uint256 forTreasury, uint256 forPool) = vouchers.accrued();
        assertEq(address(vouchers).balance, 4 * uint256(SMALL) + forTreasury + forPool, "exact");
    }

    /// @dev Treasury and pool get what has accrued, and not twice.
    function test_collect() public {
        redeem(redemptionTo(PAYEE), one(0), one(1));
        vm.expectEmit(address(vouchers));
        emit IPayouts.Collected(uint256(SMALL) * 3 / 100, uint256(SMALL) * 2 / 100);
        vouchers.collect();
        vouchers.collect();
        redeem(redemptionTo(PAYEE), one(0), one(2));
        (uint256 forTreasury, uint256 forPool) = vouchers.accrued();
        assertEq(forTreasury, uint256(SMALL) * 3 / 100, "accrued again");
        assertEq(forPool, uint256(SMALL) * 2 / 100, "accrued again");
        vouchers.collect();
        assertEq(address(treasury).balance, uint256(SMALL) * 6 / 100, "treasury");
        assertEq(address(pool).balance, uint256(SMALL) * 4 / 100, "pool");
        assertEq(address(vouchers).balance, SMALL, "the one that is not spent");
    }

    /// @dev If the treasury refused, nothing would be lost.
    function test_collect_from_a_refusing_treasury() public {
        RefusingPayee closed = new RefusingPayee();
        Vouchers other = new Vouchers(
            semaphore,
            announcer,
            address(timelock),
            address(closed),
            address(pool),
            300,
            200,
            table()
        );
        vouchers = other;
        deposit(0, 4);
        redeem(redemptionTo(PAYEE), one(other.currentGroup(0)), one(1));
        expectError(IVouchers.VouchersPaymentRefused.selector, address(closed));
        other.collect();
        closed.open();
        other.collect();
        assertEq(address(closed).balance, uint256(SMALL) * 3 / 100, "treasury");
    }

    /// @dev Leaves a payment for the payee waiting: it gets too little gas to take it.
    function owe(address payee, uint256 nullifier) internal {
        deposit(0, 1000 + nullifier);
        IVouchers.Redemption memory redemption = redemptionTo(payee);
        IVouchers.Spend[] memory spends = prove(redemption, one(0), one(nullifier));
        uint256 calls = ReenteringPayee(payable(payee)).calls();
        bytes memory code = payee.code;
        vm.etch(payee, hex"fe");
        vouchers.redeem(redemption, spends);
        vm.etch(payee, code);
        assertEq(ReenteringPayee(payable(payee)).calls(), calls, "not called yet");
    }

    function gasOf(address payee, uint256 nullifier) internal returns (uint256 used) {
        IVouchers.Redemption memory redemption = redemptionTo(payee);
        IVouchers.Spend[] memory spends = prove(redemption, one(0), one(nullifier));
        used = gasleft();
        vouchers.redeem(redemption, spends);
        used -= gasleft();
        assertEq(vouchers.owed(payee), NET, "owed");
    }
}

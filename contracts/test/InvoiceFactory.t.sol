// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {InvoiceFactory} from "../src/InvoiceFactory.sol";
import {IERC5564Announcer} from "../src/interfaces/IERC5564Announcer.sol";
import {IInvoiceAccount} from "../src/interfaces/IInvoiceAccount.sol";
import {IInvoiceFactory} from "../src/interfaces/IInvoiceFactory.sol";
import {IPayouts} from "../src/interfaces/IPayouts.sol";
import {IVouchers} from "../src/interfaces/IVouchers.sol";
import {InvoiceWorld} from "./support/InvoiceWorld.sol";
import {RefusingPayee, ReenteringCaller} from "./support/Payees.sol";

contract InvoiceFactoryTest is InvoiceWorld {
    uint256 private constant SUM = 1 ether;
    uint96 private constant FEE = 0.01 ether;

    /// @dev It takes from the vouchers who gets the shares and who announces.
    function test_construction() public view {
        assertEq(factory.vouchers(), address(vouchers), "vouchers");
        assertEq(factory.treasury(), address(treasury), "treasury");
        assertEq(factory.pool(), address(pool), "pool");
        assertEq(factory.announcer(), address(announcer), "announcer");
    }

    function test_construction_needs_a_contract() public {
        expectError(IInvoiceFactory.InvoicesNotAContract.selector, BUYER);
        new InvoiceFactory(IVouchers(BUYER));
    }

    /// @dev Paid before anything is there, divided to the last wei, announced once, told.
    function test_sweep() public {
        IInvoiceFactory.Invoice memory invoice = invoiceTo(PAYEE, FEE);
        address place = factory.addressOf(invoice);
        assertEq(place.code.length, 0, "nothing is there");
        pay(invoice, SUM);
        uint256 net = SUM - FEE;
        vm.expectEmit(address(factory));
        emit IInvoiceFactory.Swept(place, PAYEE, SUM, FEE, net * 3 / 100, net * 2 / 100);
        vm.expectEmit(address(announcer));
        emit IERC5564Announcer.Announcement(
            1,
            PAYEE,
            address(factory),
            abi.encodePacked(uint8(3), keccak256("ephemeral key")),
            hex"7a"
        );
        sweep(invoice);
        assertEq(PAYEE.balance, net * 95 / 100, "payee");
        assertEq(RELAYER.balance, FEE, "whoever swept");
        assertEq(place.balance, 0, "nothing is left");
        assertEq(address(factory).balance, net * 5 / 100, "treasury and pool");
        factory.collect();
        assertEq(address(treasury).balance, net * 3 / 100, "treasury");
        assertEq(address(pool).balance, net * 2 / 100, "pool");
        assertEq(address(factory).balance, 0, "nothing is left");
    }

    /// @dev An invoice never stops working: what comes later is swept in the same way.
    function test_sweep_again_after_another_payment() public {
        IInvoiceFactory.Invoice memory invoice = invoiceTo(PAYEE, FEE);
        pay(invoice, SUM);
        sweep(invoice);
        address place = factory.addressOf(invoice);
        assertEq(place.code.length, 45, "a minimal proxy");
        pay(invoice, 2 * SUM);
        sweep(invoice);
        pay(invoice, 3 * SUM);
        sweep(invoice);
        assertEq(RELAYER.balance, 3 * uint256(FEE), "three fees");
        assertEq(PAYEE.balance, (6 * SUM - 3 * FEE) * 95 / 100, "payee");
    }

    /// @dev Parts that came before the first sweep are one sum.
    function test_parts_are_swept_together() public {
        IInvoiceFactory.Invoice memory invoice = invoiceTo(PAYEE, FEE);
        for (uint256 i = 1; i <= 4; ++i) {
            pay(invoice, i * 0.1 ether);
        }
        sweep(invoice);
        assertEq(RELAYER.balance, FEE, "one fee");
        assertEq(PAYEE.balance, (1 ether - FEE) * 95 / 100, "payee");
    }

    function test_nothing_to_sweep() public {
        IInvoiceFactory.Invoice memory invoice = invoiceTo(PAYEE, FEE);
        address place = factory.addressOf(invoice);
        expectError(IInvoiceFactory.InvoicesNothingToSweep.selector, place);
        factory.sweep(invoice);
        pay(invoice, SUM);
        sweep(invoice);
        expectError(IInvoiceFactory.InvoicesNothingToSweep.selector, place);
        factory.sweep(invoice);
    }

    /// @dev Dust is the payee's, to the last wei; the fee is never more than a tenth.
    function test_dust() public {
        IInvoiceFactory.Invoice memory invoice = invoiceTo(PAYEE, FEE);
        pay(invoice, 1);
        sweep(invoice);
        assertEq(PAYEE.balance, 1, "one wei");
        pay(invoice, 99);
        sweep(invoice);
        assertEq(RELAYER.balance, 9, "a tenth, rounded down");
        (uint256 forTreasury, uint256 forPool) = factory.accrued();
        assertEq(forTreasury, 2, "three hundredths of 90, rounded down");
        assertEq(forPool, 1, "two hundredths of 90, rounded down");
        assertEq(PAYEE.balance, 1 + 90 - 3, "the rest");
    }

    /// @dev Any sum, any fee, any shares: nothing is lost and nothing is made.
    function testFuzz_conservation(uint96 sum, uint96 fee, uint16 forTreasury, uint16 forPool)
        public
    {
        sum = sum % 1000 ether + 1;
        (forTreasury, forPool) = (forTreasury % 501, forPool % 501);
        if (forTreasury != 300 || forPool != 200) changeShares(forTreasury, forPool);
        IInvoiceFactory.Invoice memory invoice = invoiceTo(PAYEE, fee);
        pay(invoice, sum);
        sweep(invoice);
        uint256 paid = fee < sum / 10 ? fee : sum / 10;
        assertEq(RELAYER.balance, paid, "fee");
        (uint256 first, uint256 second) = factory.accrued();
        assertEq(first, (sum - paid) * forTreasury / 10_000, "treasury");
        assertEq(second, (sum - paid) * forPool / 10_000, "pool");
        assertEq(PAYEE.balance, sum - paid - first - second, "payee");
        assertEq(address(factory).balance, first + second, "kept");
    }

    /// @dev Each field is bound: another one is another address, so nobody can take its place.
    function testFuzz_every_field_is_in_the_address(uint256 seed, uint256 which) public view {
        IInvoiceFactory.Invoice memory invoice = invoiceTo(PAYEE, FEE);
        IInvoiceFactory.Invoice memory other = invoiceTo(PAYEE, FEE);
        which %= 6;
        if (which == 0) other.payee = address(uint160(seed | 1));
        if (which == 1) other.ephemeralKeyPrefix = 2;
        if (which == 2) other.ephemeralKeyX = bytes32(seed);
        if (which == 3) other.viewTag = bytes1(uint8(seed));
        if (which == 4) other.fee = uint96(seed);
        if (which == 5) other.salt = bytes32(seed);
        bool same = keccak256(abi.encode(invoice)) == keccak256(abi.encode(other));
        assertTrue(same == (factory.addressOf(invoice) == factory.addressOf(other)), "bound");
    }

    /// @dev The address is the one that EIP-1014 and ERC-1167 say.
    function testFuzz_address(address payee, uint96 fee) public view {
        if (payee == address(0)) return;
        IInvoiceFactory.Invoice memory invoice = invoiceTo(payee, fee);
        bytes32 code = keccak256(
            abi.encodePacked(
                hex"3d602d80600a3d3981f3363d3d373d3d3d363d73",
                factory.account(),
                hex"5af43d82803e903d91602b57fd5bf3"
            )
        );
        bytes32 salt = keccak256(abi.encode(invoice));
        bytes32 hash = keccak256(abi.encodePacked(hex"ff", address(factory), salt, code));
        assertEq(factory.addressOf(invoice), address(uint160(uint256(hash))), "computed");
    }

    /// @dev What could never be paid out or found has no address either.
    function test_malformed_invoices() public {
        IInvoiceFactory.Invoice memory invoice = invoiceTo(address(0), FEE);
        expectError(IInvoiceFactory.InvoicesZeroPayee.selector);
        factory.addressOf(invoice);
        expectError(IInvoiceFactory.InvoicesZeroPayee.selector);
        factory.sweep(invoice);
        invoice = invoiceTo(PAYEE, FEE);
        invoice.ephemeralKeyPrefix = 4;
        expectError(IInvoiceFactory.InvoicesMalformedEphemeralKey.selector, 4);
        factory.addressOf(invoice);
        expectError(IInvoiceFactory.InvoicesMalformedEphemeralKey.selector, 4);
        factory.recover(invoice, address(vouchers));
    }

    /// @dev A change by the timelock holds for the next sweep of any invoice, old ones too.
    function test_shares_are_those_of_the_moment() public {
        IInvoiceFactory.Invoice memory invoice = invoiceTo(PAYEE, 0);
        pay(invoice, SUM);
        changeShares(500, 0);
        sweep(invoice);
        (uint256 forTreasury, uint256 forPool) = factory.accrued();
        assertEq(forTreasury, SUM / 20, "treasury");
        assertEq(forPool, 0, "pool");
    }

    /// @dev Ether that is forced into an invoice is swept like any other.
    function test_ether_by_force() public {
        IInvoiceFactory.Invoice memory invoice = invoiceTo(PAYEE, 0);
        vm.deal(factory.addressOf(invoice), SUM); // no code is asked, as with a block's reward
        sweep(invoice);
        assertEq(PAYEE.balance, SUM * 95 / 100, "payee");
    }

    /// @dev Ether that is forced into the factory stays, and disturbs no book.
    function test_ether_by_force_into_the_factory() public {
        vm.deal(address(factory), 7);
        IInvoiceFactory.Invoice memory invoice = invoiceTo(PAYEE, 0);
        pay(invoice, SUM);
        sweep(invoice);
        factory.collect();
        assertEq(PAYEE.balance, SUM * 95 / 100, "payee");
        assertEq(address(factory).balance, 7, "stays");
    }

    /// @dev What is sent to the factory by mistake goes back.
    function test_the_factory_takes_no_payments() public {
        vm.prank(BUYER);
        (bool accepted, bytes memory why) = address(factory).call{value: 1}("");
        assertTrue(!accepted, "refused");
        assertEq(
            why,
            abi.encodeWithSelector(IInvoiceFactory.InvoicesUnexpectedPayment.selector, BUYER),
            "and says why"
        );
    }

    /// @dev Nobody but the factory moves what an invoice has, before or after the first sweep.
    function testFuzz_only_the_factory_releases(address stranger) public {
        if (stranger == address(factory)) return;
        IInvoiceFactory.Invoice memory invoice = invoiceTo(PAYEE, 0);
        pay(invoice, SUM);
        sweep(invoice);
        pay(invoice, SUM);
        IInvoiceAccount place = IInvoiceAccount(factory.addressOf(invoice));
        vm.prank(stranger);
        expectError(IInvoiceAccount.InvoiceAccountUnauthorized.selector, stranger);
        place.release();
        vm.prank(stranger);
        expectError(IInvoiceAccount.InvoiceAccountUnauthorized.selector, stranger);
        place.releaseToken(address(vouchers), stranger, 1);
    }

    /// @dev A payee that refuses stops nobody, and anyone may send it its money later.
    function test_refusing_payee() public {
        RefusingPayee payee = new RefusingPayee();
        IInvoiceFactory.Invoice memory invoice = invoiceTo(address(payee), FEE);
        pay(invoice, SUM);
        sweep(invoice);
        uint256 waiting = (SUM - FEE) * 95 / 100;
        assertEq(RELAYER.balance, FEE, "the fee is paid");
        assertEq(factory.owed(address(payee)), waiting, "owed");
        expectError(IInvoiceFactory.InvoicesPaymentRefused.selector, address(payee));
        factory.withdraw(address(payee));
        payee.open();
        vm.expectEmit(address(factory));
        emit IPayouts.Withdrawn(address(payee), waiting);
        factory.withdraw(address(payee));
        assertEq(address(payee).balance, waiting, "paid");
        expectError(IInvoiceFactory.InvoicesNothingOwed.selector, address(payee));
        factory.withdraw(address(payee));
    }

    /// @dev Somebody who sweeps and refuses the fee is owed it; the payee has its money.
    function test_refusing_caller() public {
        IInvoiceFactory.Invoice memory invoice = invoiceTo(PAYEE, FEE);
        RefusingPayee caller = new RefusingPayee();
        pay(invoice, SUM);
        vm.prank(address(caller));
        factory.sweep(invoice);
        assertEq(factory.owed(address(caller)), FEE, "owed");
        assertEq(PAYEE.balance, (SUM - FEE) * 95 / 100, "paid");
    }

    /// @dev Whoever is paid can do what it likes but come back.
    function test_reentrancy() public {
        ReenteringCaller caller = new ReenteringCaller(factory);
        IInvoiceFactory.Invoice memory invoice = invoiceTo(PAYEE, FEE);
        bytes[4] memory plans = [
            abi.encodeCall(IInvoiceFactory.sweep, (invoice)),
            abi.encodeCall(IInvoiceFactory.recover, (invoice, address(vouchers))),
            abi.encodeCall(IPayouts.withdraw, (address(caller))),
            abi.encodeCall(IPayouts.collect, ())
        ];
        for (uint256 i = 0; i < plans.length; ++i) {
            pay(invoice, SUM);
            caller.sweep(invoice, plans[i]);
            assertEq(
                caller.answer(),
                abi.encodeWithSelector(
                    ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector
                ),
                "because of the lock"
            );
        }
        assertEq(address(caller).balance + factory.owed(address(caller)), 4 * FEE, "four fees");
        assertEq(address(factory).balance, accruedInAll() + factory.owed(address(caller)), "exact");
    }

    /// @dev While it is paid it cannot slip money in that nobody would own.
    function test_no_payment_during_a_sweep() public {
        ReenteringCaller caller = new ReenteringCaller(factory);
        IInvoiceFactory.Invoice memory invoice = invoiceTo(PAYEE, FEE);
        pay(invoice, SUM);
        vm.deal(address(caller), 5);
        caller.sweepAndPay(invoice, 5);
        assertEq(
            caller.answer(),
            abi.encodeWithSelector(
                IInvoiceFactory.InvoicesUnexpectedPayment.selector, address(caller)
            ),
            "refused"
        );
    }
}

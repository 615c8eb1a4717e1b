// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {InvoiceFactory} from "../src/InvoiceFactory.sol";
import {IInvoiceAccount} from "../src/interfaces/IInvoiceAccount.sol";
import {IInvoiceFactory} from "../src/interfaces/IInvoiceFactory.sol";
import {InvoiceWorld} from "./support/InvoiceWorld.sol";
import {RefusingPayee} from "./support/Payees.sol";
import {PlainToken} from "./support/Tokens.sol";

/// @dev Does at random all that can be done with a few invoices, and keeps books of its own.
contract InvoicesActor is InvoiceWorld {
    address internal constant THIEF = address(0xbad);

    IInvoiceFactory.Invoice[] private _invoices;
    address[] private _payees;
    PlainToken public token;
    uint256 public paidIn;
    uint256 public tokensIn;

    constructor() {
        super.setUp();
        token = new PlainToken();
        _payees.push(address(0xA1));
        _payees.push(address(0xA2));
        _payees.push(address(new RefusingPayee()));
        _payees.push(address(factory)); // refuses plain transfers
        for (uint256 i = 0; i < 6; ++i) {
            IInvoiceFactory.Invoice memory invoice =
                invoiceTo(_payees[i % 4], uint96(i * 0.01 ether));
            invoice.salt = bytes32(i);
            _invoices.push(invoice);
        }
    }

    /// @dev Among the functions that are called at random, and not one of them.
    function setUp() public override {}

    function world() external view returns (InvoiceFactory) {
        return factory;
    }

    /// @dev All that somebody has, and all that waits for somebody.
    function everything() external view returns (uint256 sum) {
        for (uint256 i = 0; i < _payees.length; ++i) {
            if (_payees[i] != address(factory)) sum += _payees[i].balance;
        }
        for (uint256 i = 0; i < _invoices.length; ++i) {
            sum += factory.addressOf(_invoices[i]).balance;
        }
        sum += RELAYER.balance + address(treasury).balance + address(pool).balance;
        sum += address(factory).balance;
    }

    function liabilities() external view returns (uint256 sum) {
        for (uint256 i = 0; i < _payees.length; ++i) {
            sum += factory.owed(_payees[i]);
        }
        sum += accruedInAll();
    }

    function tokens() external view returns (uint256 sum) {
        for (uint256 i = 0; i < _payees.length; ++i) {
            sum += token.balanceOf(_payees[i]);
        }
        for (uint256 i = 0; i < _invoices.length; ++i) {
            sum += token.balanceOf(factory.addressOf(_invoices[i]));
        }
    }

    function payOne(uint256 which, uint96 amount) external {
        IInvoiceFactory.Invoice memory invoice = _invoices[which % _invoices.length];
        amount %= 10 ether;
        pay(invoice, amount);
        paidIn += amount;
    }

    function sweepOne(uint256 which) external {
        IInvoiceFactory.Invoice memory invoice = _invoices[which % _invoices.length];
        address place = factory.addressOf(invoice);
        uint256 gross = place.balance;
        if (gross == 0) {
            expectError(IInvoiceFactory.InvoicesNothingToSweep.selector, place);
            factory.sweep(invoice);
            return;
        }
        uint256 before = RELAYER.balance;
        sweep(invoice);
        assertEq(place.balance, 0, "all of it");
        assertTrue(RELAYER.balance - before <= gross / 10, "a tenth at most");
        assertTrue(RELAYER.balance - before <= invoice.fee, "what the invoice says at most");
    }

    /// @dev Changes a field, and sweeps what has another address then: must always fail.
    function sweepAnother(uint256 which, uint256 field) external {
        IInvoiceFactory.Invoice memory invoice = _invoices[which % _invoices.length];
        field %= 3;
        if (field == 0) invoice.payee = THIEF;
        if (field == 1) invoice.fee += 1;
        if (field == 2) invoice.salt = keccak256(abi.encode(invoice.salt));
        expectError(IInvoiceFactory.InvoicesNothingToSweep.selector, factory.addressOf(invoice));
        vm.prank(THIEF);
        factory.sweep(invoice);
    }

    /// @dev Asks an invoice itself; must always fail.
    function steal(uint256 which) external {
        address place = factory.addressOf(_invoices[which % _invoices.length]);
        if (place.code.length == 0) return;
        vm.prank(THIEF);
        expectError(IInvoiceAccount.InvoiceAccountUnauthorized.selector, THIEF);
        IInvoiceAccount(place).release();
    }

    function misplace(uint256 which, uint96 amount) external {
        token.mint(factory.addressOf(_invoices[which % _invoices.length]), amount);
        tokensIn += amount;
    }

    function recoverOne(uint256 which) external {
        IInvoiceFactory.Invoice memory invoice = _invoices[which % _invoices.length];
        address place = factory.addressOf(invoice);
        if (token.balanceOf(place) == 0) return;
        vm.prank(THIEF);
        factory.recover(invoice, address(token));
        assertEq(token.balanceOf(place), 0, "all of it");
    }

    function withdraw(uint256 which, bool opens) external {
        address payee = _payees[which % _payees.length];
        if (factory.owed(payee) == 0) return;
        if (opens && payee == _payees[2]) RefusingPayee(payable(payee)).open();
        uint256 amount = factory.owed(payee);
        try factory.withdraw(payee) {}
        catch {
            assertEq(factory.owed(payee), amount, "goes on waiting");
        }
    }

    function collect() external {
        factory.collect();
        assertEq(accruedInAll(), 0, "collected");
    }

    function change(uint256 treasuryShare, uint256 poolShare) external {
        (uint256 first, uint256 second) = vouchers.shares();
        (treasuryShare, poolShare) = (treasuryShare % 501, poolShare % 501);
        if (treasuryShare == first && poolShare == second) return;
        vm.prank(address(timelock));
        vouchers.setShares(treasuryShare, poolShare);
    }
}

contract InvoiceFactoryInvariantTest is InvoiceWorld {
    InvoicesActor private actor;

    function setUp() public override {
        actor = new InvoicesActor();
        factory = actor.world();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(actor);
    }

    /// @dev What was paid is with the invoices, the payees, the relay, treasury, pool and factory,
    /// to the last wei, and the factory holds exactly what it owes.
    function invariant_conservation() public view {
        assertEq(actor.everything(), actor.paidIn(), "in is out and here");
        assertEq(address(factory).balance, actor.liabilities(), "holds what it owes");
    }

    /// @dev Tokens go to payees or stay.
    function invariant_tokens() public view {
        assertEq(actor.tokens(), actor.tokensIn(), "in is out and here");
    }

    /// @dev Who only calls gets nothing.
    function invariant_nothing_for_strangers() public view {
        assertEq(address(0xbad).balance, 0, "no coin");
        assertEq(actor.token().balanceOf(address(0xbad)), 0, "no token");
    }
}

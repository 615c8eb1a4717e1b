// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {IInvoiceFactory} from "../src/interfaces/IInvoiceFactory.sol";
import {InvoiceWorld} from "./support/InvoiceWorld.sol";
import {PlainToken} from "./support/Tokens.sol";

/// @dev Measures whole transactions into snapshots/, as {VouchersGasTest} does.
/// forge-config: default.isolate = true
contract InvoiceFactoryGasTest is InvoiceWorld {
    IInvoiceFactory.Invoice private usual;

    function setUp() public override {
        super.setUp();
        IInvoiceFactory.Invoice memory first = invoiceTo(address(0xF1), 0.01 ether);
        pay(first, 1 ether);
        sweep(first); // others have been swept before, and the relay has been paid before
        usual = invoiceTo(PAYEE, 0.01 ether);
        usual.salt = 0;
    }

    /// @dev The usual life of an invoice, and the payment that comes too often.
    function test_gas_of_sweep() public {
        pay(usual, 1 ether);
        vm.snapshotGasLastCall("InvoiceFactory", "payment");
        sweep(usual);
        vm.snapshotGasLastCall("InvoiceFactory", "sweep, first of an invoice, fresh payee");
        pay(usual, 1 ether);
        vm.snapshotGasLastCall("InvoiceFactory", "payment after a sweep");
        sweep(usual);
        vm.snapshotGasLastCall("InvoiceFactory", "sweep, again");
        vm.prank(RELAYER);
        (bool swept,) = address(factory).call(abi.encodeCall(IInvoiceFactory.sweep, (usual)));
        vm.snapshotGasLastCall("InvoiceFactory", "sweep, too late");
        assertTrue(!swept, "nothing is there");
        factory.collect();
        vm.snapshotGasLastCall("InvoiceFactory", "collect");
    }

    /// @dev What is done when somebody sent a token.
    function test_gas_of_the_rest() public {
        PlainToken token = new PlainToken();
        token.mint(factory.addressOf(usual), 1);
        factory.recover(usual, address(token));
        vm.snapshotGasLastCall("InvoiceFactory", "recover, first of an invoice");
    }
}

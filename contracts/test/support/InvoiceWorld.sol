// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {InvoiceFactory} from "../../src/InvoiceFactory.sol";
import {IInvoiceFactory} from "../../src/interfaces/IInvoiceFactory.sol";
import {World} from "./World.sol";

/// @dev The world with a factory of invoices in it, and somebody who pays them.
abstract contract InvoiceWorld is World {
    InvoiceFactory internal factory;

    function setUp() public virtual override {
        super.setUp();
        factory = new InvoiceFactory(vouchers);
    }

    function invoiceTo(address payee, uint96 fee)
        internal
        pure
        returns (IInvoiceFactory.Invoice memory)
    {
        return IInvoiceFactory.Invoice({
            payee: payee,
            ephemeralKeyPrefix: 3,
            ephemeralKeyX: keccak256("ephemeral key"),
            viewTag: 0x7a,
            fee: fee,
            salt: keccak256("salt")
        });
    }

    /// @dev Pays an invoice as a wallet does: a plain transfer.
    function pay(IInvoiceFactory.Invoice memory invoice, uint256 amount) internal {
        address place = factory.addressOf(invoice);
        vm.prank(BUYER);
        (bool accepted,) = place.call{value: amount}("");
        assertTrue(accepted, "paid");
    }

    function sweep(IInvoiceFactory.Invoice memory invoice) internal {
        vm.prank(RELAYER);
        factory.sweep(invoice);
    }

    /// @dev What the factory holds is what it owes.
    function accruedInAll() internal view returns (uint256) {
        (uint256 forTreasury, uint256 forPool) = factory.accrued();
        return forTreasury + forPool;
    }
}

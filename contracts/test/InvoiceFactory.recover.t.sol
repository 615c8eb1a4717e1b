// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IERC5564Announcer} from "../src/interfaces/IERC5564Announcer.sol";
import {IInvoiceFactory} from "../src/interfaces/IInvoiceFactory.sol";
import {IPayouts} from "../src/interfaces/IPayouts.sol";
import {InvoiceWorld} from "./support/InvoiceWorld.sol";
import {
    BrokenToken,
    PlainToken,
    ReenteringToken,
    SilentToken,
    TollToken
} from "./support/Tokens.sol";

/// @dev Tokens that somebody sent to an invoice by mistake.
contract InvoiceFactoryRecoverTest is InvoiceWorld {
    uint256 private constant SUM = 1 ether;

    IInvoiceFactory.Invoice private invoice;
    address private place;

    function setUp() public override {
        super.setUp();
        invoice = invoiceTo(PAYEE, 0.01 ether);
        place = factory.addressOf(invoice);
    }

    /// @dev All of it to the payee, announced, without fee or split; anyone may do it.
    function testFuzz_recover(uint256 amount, address anyone) public {
        if (amount == 0) return;
        PlainToken token = new PlainToken();
        token.mint(place, amount);
        vm.expectEmit(address(factory));
        emit IInvoiceFactory.Recovered(place, address(token), PAYEE, amount);
        vm.expectEmit(address(announcer));
        emit IERC5564Announcer.Announcement(
            1,
            PAYEE,
            address(factory),
            abi.encodePacked(uint8(3), keccak256("ephemeral key")),
            hex"7a"
        );
        vm.prank(anyone);
        factory.recover(invoice, address(token));
        assertEq(token.balanceOf(PAYEE), amount, "payee");
        assertEq(token.balanceOf(place), 0, "nothing is left");
    }

    /// @dev Before and after a sweep, and again.
    function test_recover_at_any_time() public {
        PlainToken token = new PlainToken();
        for (uint256 i = 1; i <= 3; ++i) {
            token.mint(place, i);
            factory.recover(invoice, address(token));
            pay(invoice, SUM);
            sweep(invoice);
        }
        assertEq(token.balanceOf(PAYEE), 6, "payee");
        assertEq(PAYEE.balance, 3 * (SUM - 0.01 ether) * 95 / 100, "the coin, too");
    }

    function test_nothing_to_recover() public {
        PlainToken token = new PlainToken();
        vm.expectRevert(
            abi.encodeWithSelector(
                IInvoiceFactory.InvoicesNothingToRecover.selector, place, address(token)
            )
        );
        factory.recover(invoice, address(token));
        expectError(IInvoiceFactory.InvoicesNotAContract.selector, BUYER);
        factory.recover(invoice, BUYER);
    }

    /// @dev A token whose transfers return nothing.
    function test_silent_token() public {
        SilentToken token = new SilentToken();
        token.mint(place, 5);
        factory.recover(invoice, address(token));
        assertEq(token.balanceOf(PAYEE), 5, "payee");
    }

    /// @dev A token that keeps a part is between it and the payee.
    function test_token_with_a_toll() public {
        TollToken token = new TollToken();
        token.mint(place, 1000);
        factory.recover(invoice, address(token));
        assertEq(token.balanceOf(PAYEE), 990, "payee");
        assertEq(token.balanceOf(place), 0, "nothing is left");
    }

    /// @dev A token that does not work fails alone: the coin of the same invoice is swept.
    function test_broken_tokens_hinder_nothing() public {
        pay(invoice, SUM);
        for (uint256 way = 0; way < 3; ++way) {
            BrokenToken token = new BrokenToken(way);
            (bool moved, bytes memory why) = address(factory)
                .call(abi.encodeCall(IInvoiceFactory.recover, (invoice, address(token))));
            assertTrue(!moved, "not moved");
            bytes4 expected = way == 1
                ? SafeERC20.SafeERC20FailedOperation.selector
                : way == 2 ? IInvoiceFactory.InvoicesNothingToRecover.selector : bytes4(0x08c379a0);
            assertEq(bytes32(bytes4(why)), bytes32(expected), "and says why");
        }
        sweep(invoice);
        assertEq(PAYEE.balance, (SUM - 0.01 ether) * 95 / 100, "payee");
    }

    /// @dev A token's own code gets in nowhere, and has no part in the coin.
    function test_reentering_token() public {
        pay(invoice, SUM);
        bytes[4] memory plans = [
            abi.encodeCall(IInvoiceFactory.sweep, (invoice)),
            abi.encodeCall(IInvoiceFactory.recover, (invoice, address(vouchers))),
            abi.encodeCall(IPayouts.withdraw, (PAYEE)),
            abi.encodeCall(IPayouts.collect, ())
        ];
        for (uint256 i = 0; i < plans.length; ++i) {
            ReenteringToken token = new ReenteringToken();
            token.mint(place, 1);
            token.plan(address(factory), plans[i]);
            factory.recover(invoice, address(token));
            assertTrue(token.called(), "it tried");
            assertTrue(!token.entered(), "but did not get in");
            assertEq(
                token.answer(),
                abi.encodeWithSelector(
                    ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector
                ),
                "because of the lock"
            );
        }
        assertEq(place.balance, SUM, "the coin is where it was");
    }

    /// @dev A token that calls the invoice itself while it is moved is not the factory.
    function test_token_that_calls_the_invoice() public {
        pay(invoice, SUM);
        ReenteringToken token = new ReenteringToken();
        token.mint(place, 1);
        token.plan(place, abi.encodeWithSignature("release()"));
        factory.recover(invoice, address(token));
        assertTrue(token.called() && !token.entered(), "refused");
        assertEq(place.balance, SUM, "the coin is where it was");
    }
}

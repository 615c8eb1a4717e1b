// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {IPayouts} from "./IPayouts.sol";

/// @title Invoices: one-time addresses that any wallet pays by a plain transfer
/// @notice An invoice is an address that follows from its fields alone (CREATE2), so it can be paid
/// before anything is there. Whatever arrives is the payee's, whenever, from whom and in how many
/// parts it comes: anyone who knows the fields can {sweep} it there, again and again, and gets the
/// fee that the invoice names for it. The rest is split by the shares that {IVouchers-shares} says
/// at that moment.
///
/// NOTE: the fields bind no chain. A factory that stands at the same address on two chains has the
/// same invoices on both, so what was paid on the wrong one is not lost.
///
/// WARNING: a payment is public on the payer's wallet, and its sum may name what was bought. A sweep
/// ties the invoice to the payee in public: let the payee be a fresh stealth address, and sweep one
/// invoice at a time.
///
/// WARNING: before its first sweep an invoice is an address without code; afterwards it is a
/// contract that takes plain transfers, at about 23,700 gas. One with a fixed limit of 21,000, or
/// from a contract that gives no more than 2,300, then fails, and the money stays with its sender.
///
/// WARNING: whoever loses the fields loses the money: nothing else leads to it.
interface IInvoiceFactory is IPayouts {
    /// @notice What an invoice's address is made of.
    /// @param payee Receives what is left after fee and shares; a fresh stealth address.
    /// @param ephemeralKeyPrefix 2 or 3: first byte of the compressed ephemeral public key.
    /// @param ephemeralKeyX The other 32 bytes of it.
    /// @param viewTag First byte of the hashed shared secret (ERC-5564).
    /// @param fee Wei for whoever sweeps; never more than a tenth of what is swept.
    /// @param salt Anything; makes the address one that nobody can guess from the payee.
    struct Invoice {
        address payee;
        uint8 ephemeralKeyPrefix;
        bytes32 ephemeralKeyX;
        bytes1 viewTag;
        uint96 fee;
        bytes32 salt;
    }

    /// @notice What was at an invoice's address was divided. It was all that was there.
    /// @param invoice Its address.
    /// @param payee To whom `gross` less the fee and the shares went.
    /// @param gross In wei.
    /// @param fee Of it, what whoever swept it got.
    /// @param treasuryAmount Of it, what accrued for the treasury.
    /// @param poolAmount Of it, what accrued for the operators' pool.
    event Swept(
        address indexed invoice,
        address indexed payee,
        uint256 gross,
        uint256 fee,
        uint256 treasuryAmount,
        uint256 poolAmount
    );

    /// @notice A token that somebody sent to an invoice's address went to the payee.
    /// @param invoice Its address.
    /// @param token The token's contract. WARNING: anything can call itself a token.
    /// @param payee To whom it went.
    /// @param amount As the token said before; what arrives is the token's affair.
    event Recovered(
        address indexed invoice, address indexed token, address indexed payee, uint256 amount
    );

    /// @notice There is no contract where one is needed.
    error InvoicesNotAContract(address account);

    /// @notice The payee must not be 0.
    error InvoicesZeroPayee();

    /// @notice A compressed public key begins with 2 or 3.
    error InvoicesMalformedEphemeralKey(uint8 prefix);

    /// @notice There is nothing at the invoice's address.
    error InvoicesNothingToSweep(address invoice);

    /// @notice There is nothing of this token at the invoice's address.
    error InvoicesNothingToRecover(address invoice, address token);

    /// @notice Only what is swept comes here; pay the invoice's address.
    error InvoicesUnexpectedPayment(address sender);

    /// @notice Nothing waits for this address.
    error InvoicesNothingOwed(address to);

    /// @notice The address refuses the payment, which goes on waiting for it.
    error InvoicesPaymentRefused(address to);

    /// @notice Divides all that is at an invoice's address: fee to the caller, shares to treasury
    /// and pool, the rest to the payee, to the last wei; then announces the payment (ERC-5564,
    /// scheme 1). Anyone may call it, and again after each further payment.
    /// @dev A payee or caller that refuses its payment, or needs more than {PAYMENT_GAS} gas for it,
    /// does not stop the rest: the sum waits for {withdraw}.
    ///
    /// NOTE: the fee is cut to a tenth of what is swept, so that the smallest rest can be swept by
    /// somebody, and however often it is done, the fees together are never more than a tenth.
    ///
    /// NOTE: two calls at once are a race; the loser reverts with {InvoicesNothingToSweep}.
    function sweep(Invoice calldata invoice) external;

    /// @notice Sends all of a token that is at an invoice's address to the payee, without fee or
    /// split, and announces it. Anyone may call it.
    /// @dev The token's code runs with the invoice's address as its caller, moves nothing but what
    /// the token itself keeps, and can reenter nothing here. One that reverts stays where it is and
    /// hinders nothing else. WARNING: for ERC-20 alone; a token that is one of a kind (ERC-721) and
    /// sent to an invoice is lost.
    function recover(Invoice calldata invoice, address token) external;

    /// @notice The address of an invoice.
    /// @dev CREATE2 by this contract; the salt is keccak256(abi.encode(invoice)), the code the
    /// minimal proxy (ERC-1167) of {account}.
    function addressOf(Invoice calldata invoice) external view returns (address);

    /// @notice What the code at an invoice's address calls (ERC-1167).
    function account() external view returns (address);

    /// @notice Where the shares are read.
    function vouchers() external view returns (address);

    /// @notice The ERC-5564 announcer.
    function announcer() external view returns (address);
}

// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

/// @title What stands at an invoice's address once it has been swept
/// @notice Takes plain transfers, and gives what it has to its factory alone, which divides it.
interface IInvoiceAccount {
    /// @notice Only the factory may do this.
    error InvoiceAccountUnauthorized(address caller);

    /// @notice The factory did not take the money.
    error InvoiceAccountRefused();

    /// @notice Sends the whole balance to the factory.
    function release() external;

    /// @notice Sends some of an ERC-20 token to an address.
    function releaseToken(address token, address to, uint256 amount) external;
}

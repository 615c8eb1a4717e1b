// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IInvoiceAccount} from "./interfaces/IInvoiceAccount.sol";

/// @title See {IInvoiceAccount}
/// @dev The factory makes one of these; every invoice's address calls its code (ERC-1167). It has no
/// storage, and the factory's address is in the code itself, so it needs no initialisation that
/// somebody could forestall.
contract InvoiceAccount is IInvoiceAccount {
    using SafeERC20 for IERC20;

    address private immutable _factory;

    modifier onlyFactory() {
        if (msg.sender != _factory) revert InvoiceAccountUnauthorized(msg.sender);
        _;
    }

    /// @dev Whoever makes it is the factory.
    constructor() {
        _factory = msg.sender;
    }

    /// @dev Anyone may pay, at any time.
    receive() external payable {}

    /// @inheritdoc IInvoiceAccount
    function release() external override onlyFactory {
        // The factory is our own code and known.
        // slither-disable-next-line low-level-calls
        (bool accepted,) = _factory.call{value: address(this).balance}("");
        if (!accepted) revert InvoiceAccountRefused();
    }

    /// @inheritdoc IInvoiceAccount
    function releaseToken(address token, address to, uint256 amount) external override onlyFactory {
        IERC20(token).safeTransfer(to, amount);
    }
}

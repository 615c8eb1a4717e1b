// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {ITimelockedFunds} from "./interfaces/ITimelockedFunds.sol";

/// @title See {ITimelockedFunds}
abstract contract TimelockedFunds is ITimelockedFunds {
    address private immutable _timelock;

    /// @param timelock_ The only one who can ever spend.
    constructor(address timelock_) {
        if (timelock_.code.length == 0) revert FundsNotAContract(timelock_);
        _timelock = timelock_;
    }

    /// @inheritdoc ITimelockedFunds
    receive() external payable override {
        emit Received(msg.sender, msg.value);
    }

    /// @inheritdoc ITimelockedFunds
    function pay(address to, uint256 amount) external override {
        if (msg.sender != _timelock) revert FundsUnauthorized(msg.sender);
        if (to == address(0)) revert FundsZeroPayee();
        if (amount > address(this).balance) revert FundsTooLow(address(this).balance, amount);
        emit Paid(to, amount);
        // Payees may be contracts, such as a multisig wallet, that need more gas than a transfer has.
        // slither-disable-next-line low-level-calls
        (bool accepted,) = to.call{value: amount}("");
        if (!accepted) revert FundsPaymentRefused(to);
    }

    /// @inheritdoc ITimelockedFunds
    function timelock() external view override returns (address) {
        return _timelock;
    }
}

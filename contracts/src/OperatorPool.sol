// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {TimelockedFunds} from "./TimelockedFunds.sol";

/// @title The share of all purchases that belongs to those who serve them
/// @notice It accrues here. There is no rule yet by which operators are paid; the timelock moves
/// what has accrued to the contract that will have one.
contract OperatorPool is TimelockedFunds {
    /// @param timelock_ See {TimelockedFunds}.
    constructor(address timelock_) TimelockedFunds(timelock_) {}
}

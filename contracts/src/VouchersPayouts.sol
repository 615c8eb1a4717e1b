// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {Payouts} from "./Payouts.sol";
import {IPayouts} from "./interfaces/IPayouts.sol";
import {IVouchers} from "./interfaces/IVouchers.sol";

/// @title The part of {IVouchers} that pays what waits
/// @dev With errors of its own, and therefore not in {Payouts}.
abstract contract VouchersPayouts is IVouchers, Payouts {
    /// @inheritdoc IPayouts
    function withdraw(address to) external override nonReentrant {
        uint256 amount = _owed[to];
        if (amount == 0) revert VouchersNothingOwed(to);
        _owed[to] = 0;
        emit Withdrawn(to, amount);
        if (!_send(to, amount, gasleft())) revert VouchersPaymentRefused(to);
    }

    /// @inheritdoc IPayouts
    function collect() external override nonReentrant {
        (uint256 treasuryAmount, uint256 poolAmount) = accrued();
        _collected = _earned;
        emit Collected(treasuryAmount, poolAmount);
        if (!_send(_treasury, treasuryAmount, gasleft())) revert VouchersPaymentRefused(_treasury);
        if (!_send(_pool, poolAmount, gasleft())) revert VouchersPaymentRefused(_pool);
    }
}

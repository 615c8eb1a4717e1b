// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IVouchers} from "./interfaces/IVouchers.sol";

/// @title The part of {IVouchers} that pays, and keeps what cannot be paid now
abstract contract VouchersPayouts is IVouchers, ReentrancyGuardTransient {
    /// @dev In the smallest unit.
    struct Pair {
        uint128 treasury;
        uint128 pool;
    }

    /// @inheritdoc IVouchers
    uint256 public constant override PAYMENT_GAS = 30_000;

    address private immutable _treasury;
    address private immutable _pool;

    mapping(address to => uint256) private _owed;
    // Both only grow, so that no redemption pays for a slot that becomes nonzero again.
    Pair private _earned;
    Pair private _collected;

    /// @dev See {Vouchers} for the arguments; it checks them.
    // slither-disable-next-line missing-zero-check
    constructor(address treasury_, address pool_) {
        _treasury = treasury_;
        _pool = pool_;
    }

    /// @inheritdoc IVouchers
    function withdraw(address to) external override nonReentrant {
        uint256 amount = _owed[to];
        if (amount == 0) revert VouchersNothingOwed(to);
        _owed[to] = 0;
        emit Withdrawn(to, amount);
        if (!_send(to, amount, gasleft())) revert VouchersPaymentRefused(to);
    }

    /// @inheritdoc IVouchers
    function collect() external override nonReentrant {
        (uint256 treasuryAmount, uint256 poolAmount) = accrued();
        _collected = _earned;
        emit Collected(treasuryAmount, poolAmount);
        if (!_send(_treasury, treasuryAmount, gasleft())) revert VouchersPaymentRefused(_treasury);
        if (!_send(_pool, poolAmount, gasleft())) revert VouchersPaymentRefused(_pool);
    }

    /// @inheritdoc IVouchers
    function owed(address to) external view override returns (uint256) {
        return _owed[to];
    }

    /// @inheritdoc IVouchers
    function treasury() external view override returns (address) {
        return _treasury;
    }

    /// @inheritdoc IVouchers
    function pool() external view override returns (address) {
        return _pool;
    }

    /// @inheritdoc IVouchers
    function accrued() public view override returns (uint256, uint256) {
        return (_earned.treasury - _collected.treasury, _earned.pool - _collected.pool);
    }

    /// @dev Keeps the shares of treasury and pool for {collect}. The casts cannot cut: the sums
    /// are of a few amounts of 96 bits.
    function _keep(uint256 treasuryAmount, uint256 poolAmount) internal {
        _earned.treasury += uint128(treasuryAmount);
        _earned.pool += uint128(poolAmount);
    }

    /// @dev Pays, or remembers what is owed: no payee can stop the others' money.
    function _pay(address to, uint256 amount) internal {
        if (!_send(to, amount, PAYMENT_GAS)) {
            _owed[to] += amount;
            emit PaymentDeferred(to, amount);
        }
    }

    /// @dev A plain call, but what the payee returns is not copied: it could be made so large that
    /// the copy uses up all gas. Solidity's own call copies it, hence the assembly.
    // slither-disable-next-line assembly
    function _send(address to, uint256 amount, uint256 gasLimit) private returns (bool accepted) {
        assembly ("memory-safe") {
            accepted := call(gasLimit, to, amount, 0, 0, 0, 0)
        }
    }
}

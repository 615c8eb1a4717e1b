// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IPayouts} from "./interfaces/IPayouts.sol";

/// @title See {IPayouts}
/// @dev Who inherits divides, pays by {_pay}, and writes {withdraw} and {collect}, as these refuse by
/// errors that bear its name.
abstract contract Payouts is IPayouts, ReentrancyGuardTransient {
    /// @dev In the smallest unit.
    struct Pair {
        uint128 treasury;
        uint128 pool;
    }

    /// @inheritdoc IPayouts
    uint256 public constant override PAYMENT_GAS = 30_000;

    address internal immutable _treasury;
    address internal immutable _pool;

    mapping(address to => uint256) internal _owed;
    // Both only grow, so that nobody pays for a slot that becomes nonzero again.
    Pair internal _earned;
    Pair internal _collected;

    /// @dev Who inherits checks the arguments.
    // slither-disable-next-line missing-zero-check
    constructor(address treasury_, address pool_) {
        _treasury = treasury_;
        _pool = pool_;
    }

    /// @inheritdoc IPayouts
    function owed(address to) external view override returns (uint256) {
        return _owed[to];
    }

    /// @inheritdoc IPayouts
    function treasury() external view override returns (address) {
        return _treasury;
    }

    /// @inheritdoc IPayouts
    function pool() external view override returns (address) {
        return _pool;
    }

    /// @inheritdoc IPayouts
    function accrued() public view override returns (uint256, uint256) {
        return (_earned.treasury - _collected.treasury, _earned.pool - _collected.pool);
    }

    /// @dev Keeps the shares of treasury and pool for {collect}. The casts cannot cut: no chain has
    /// 2**128 of its coin's smallest unit.
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
    function _send(address to, uint256 amount, uint256 gasLimit) internal returns (bool accepted) {
        assembly ("memory-safe") {
            accepted := call(gasLimit, to, amount, 0, 0, 0, 0)
        }
    }
}

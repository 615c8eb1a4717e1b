// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ISemaphore} from "@semaphore-protocol/contracts/interfaces/ISemaphore.sol";
import {ISemaphoreGroups} from "@semaphore-protocol/contracts/interfaces/ISemaphoreGroups.sol";
import {IVouchers} from "./interfaces/IVouchers.sol";

/// @title The part of {IVouchers} that knows denominations, their groups, and the shares
abstract contract VouchersTable is IVouchers, ReentrancyGuardTransient {
    /// @dev A row of the table. `asset` has a slot of its own that is read only when the table is:
    /// the constructor lets no asset but the chain's own coin in.
    struct Row {
        uint96 amount;
        uint64 group;
        address asset;
    }

    /// @dev In 1/10,000.
    struct Shares {
        uint16 treasury;
        uint16 pool;
    }

    /// @inheritdoc IVouchers
    uint256 public constant override TREE_DEPTH = 20;
    /// @inheritdoc IVouchers
    uint256 public constant override GROUP_CAPACITY = 1 << TREE_DEPTH;
    /// @inheritdoc IVouchers
    uint256 public constant override MAX_DENOMINATIONS = 32;
    /// @inheritdoc IVouchers
    uint256 public constant override MAX_TREASURY_SHARE = 500;
    /// @inheritdoc IVouchers
    uint256 public constant override MAX_POOL_SHARE = 500;

    // Roots never expire: buyers may be slow. Semaphore adds this to a time, so that the largest
    // uint256 would overflow there.
    uint256 private constant ROOT_DURATION = type(uint64).max;

    ISemaphore internal immutable _semaphore;
    address private immutable _timelock;
    uint256 private immutable _rows;

    mapping(uint256 denomination => Row) private _table;
    mapping(uint256 group => Group) private _groups;
    Shares private _shares;

    /// @dev See {Vouchers} for the arguments.
    constructor(
        ISemaphore semaphore_,
        // _requireContract refuses 0, and accounts besides.
        // slither-disable-next-line missing-zero-check
        address timelock_,
        uint256 treasuryShare,
        uint256 poolShare,
        Denomination[] memory table
    ) {
        _requireContract(address(semaphore_));
        _requireContract(timelock_);
        if (table.length == 0 || table.length > MAX_DENOMINATIONS) {
            revert VouchersDenominationCount(table.length);
        }
        _semaphore = semaphore_;
        _timelock = timelock_;
        _rows = table.length;
        for (uint256 i = 0; i < table.length; ++i) {
            if (table[i].asset != address(0)) revert VouchersUnsupportedAsset(table[i].asset);
            if (!_isRound(table[i].amount)) revert VouchersAmountNotRound(table[i].amount);
            if (i != 0 && table[i].amount <= table[i - 1].amount) {
                revert VouchersAmountsNotRising(table[i].amount);
            }
            _table[i] = Row({amount: table[i].amount, group: 0, asset: table[i].asset});
        }
        _changeShares(treasuryShare, poolShare, table.length);
    }

    /// @inheritdoc IVouchers
    function setShares(uint256 treasuryShare, uint256 poolShare) external override nonReentrant {
        if (msg.sender != _timelock) revert VouchersUnauthorized(msg.sender);
        if (treasuryShare == _shares.treasury && poolShare == _shares.pool) {
            revert VouchersSharesUnchanged();
        }
        _changeShares(treasuryShare, poolShare, _rows);
    }

    /// @inheritdoc IVouchers
    function denominations() external view override returns (Denomination[] memory table) {
        table = new Denomination[](_rows);
        for (uint256 i = 0; i < _rows; ++i) {
            table[i] = Denomination({asset: _table[i].asset, amount: _table[i].amount});
        }
    }

    /// @inheritdoc IVouchers
    function currentGroup(uint256 denomination) external view override returns (uint256) {
        if (denomination >= _rows) revert VouchersUnknownDenomination(denomination);
        return _table[denomination].group;
    }

    /// @inheritdoc IVouchers
    function groupOf(uint256 group) external view override returns (Group memory found) {
        found = _groups[group];
        if (found.amount == 0) revert VouchersUnknownGroup(group);
    }

    /// @inheritdoc IVouchers
    function shares() external view override returns (uint256, uint256) {
        return (_shares.treasury, _shares.pool);
    }

    /// @inheritdoc IVouchers
    function semaphore() external view override returns (address) {
        return address(_semaphore);
    }

    /// @inheritdoc IVouchers
    function timelock() external view override returns (address) {
        return _timelock;
    }

    /// @dev Checks the sum that was sent, and finds room for one more commitment.
    function _groupForDeposit(uint256 denomination, uint256 sent) internal returns (uint256 group) {
        Row storage row = _table[denomination];
        uint256 amount = row.amount;
        group = row.group;
        if (amount == 0) revert VouchersUnknownDenomination(denomination);
        if (sent != amount) revert VouchersWrongSum(sent, amount);
        if (ISemaphoreGroups(address(_semaphore)).getMerkleTreeSize(group) >= GROUP_CAPACITY) {
            Group storage full = _groups[group];
            group = _openGroup(denomination, full.treasuryShare, full.poolShare);
        }
    }

    /// @dev What the vouchers of a group are worth, and the shares that they were bought with.
    function _terms(uint256 group)
        internal
        view
        returns (uint256 amount, uint256 treasuryShare, uint256 poolShare)
    {
        Group storage found = _groups[group];
        (amount, treasuryShare, poolShare) = (found.amount, found.treasuryShare, found.poolShare);
        if (amount == 0) revert VouchersUnknownGroup(group);
    }

    function _requireContract(address account) internal view {
        if (account.code.length == 0) revert VouchersNotAContract(account);
    }

    /// @dev Opens a new group for every denomination; the old ones keep the shares they have.
    /// @param rows Of the table: {_rows} cannot be read while the contract is constructed.
    function _changeShares(uint256 treasuryShare, uint256 poolShare, uint256 rows) private {
        if (treasuryShare > MAX_TREASURY_SHARE || poolShare > MAX_POOL_SHARE) {
            revert VouchersShareTooHigh(treasuryShare, poolShare);
        }
        _shares = Shares({treasury: uint16(treasuryShare), pool: uint16(poolShare)});
        emit SharesChanged(treasuryShare, poolShare);
        for (uint256 i = 0; i < rows; ++i) {
            _openGroup(i, uint16(treasuryShare), uint16(poolShare));
        }
    }

    // Semaphore is known, calls nobody, and the group's number is known only after the call. The
    // loop around it has at most MAX_DENOMINATIONS rounds.
    // slither-disable-start reentrancy-benign,reentrancy-events,calls-loop
    function _openGroup(uint256 denomination, uint16 treasuryShare, uint16 poolShare)
        private
        returns (uint256 group)
    {
        group = _semaphore.createGroup(address(this), ROOT_DURATION);
        Row storage row = _table[denomination];
        row.group = uint64(group); // a counter that starts at 0
        _groups[group] = Group({
            amount: row.amount,
            treasuryShare: treasuryShare,
            poolShare: poolShare,
            denomination: uint16(denomination)
        });
        emit GroupOpened(denomination, group, treasuryShare, poolShare);
    }

    // slither-disable-end reentrancy-benign,reentrancy-events,calls-loop

    function _isRound(uint256 amount) private pure returns (bool) {
        if (amount == 0) return false;
        while (amount % 10 == 0) amount /= 10;
        return amount == 1 || amount == 2 || amount == 5;
    }
}

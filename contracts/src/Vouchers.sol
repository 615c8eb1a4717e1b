// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ISemaphore} from "@semaphore-protocol/contracts/interfaces/ISemaphore.sol";
import {ISemaphoreGroups} from "@semaphore-protocol/contracts/interfaces/ISemaphoreGroups.sol";
import {IERC5564Announcer} from "./interfaces/IERC5564Announcer.sol";
import {IVouchers} from "./interfaces/IVouchers.sol";

/// @title See {IVouchers}
contract Vouchers is IVouchers, ReentrancyGuardTransient {
    /// @dev A row of the table. `asset` has a slot of its own that is read only when the table is:
    /// the constructor lets no asset but the chain's own coin in.
    struct Row {
        uint96 amount;
        uint64 group;
        address asset;
    }

    /// @dev In the smallest unit.
    struct Pair {
        uint128 treasury;
        uint128 pool;
    }

    /// @dev In 1/10,000.
    struct Shares {
        uint16 treasury;
        uint16 pool;
    }

    /// @dev Sums over the vouchers of a redemption. A weight is the sum of amount times share.
    struct Totals {
        uint256 gross;
        uint256 treasuryWeight;
        uint256 poolWeight;
    }

    /// @inheritdoc IVouchers
    uint256 public constant override TREE_DEPTH = 20;
    /// @inheritdoc IVouchers
    uint256 public constant override GROUP_CAPACITY = 1 << TREE_DEPTH;
    /// @inheritdoc IVouchers
    uint256 public constant override MAX_DENOMINATIONS = 32;
    /// @inheritdoc IVouchers
    uint256 public constant override MAX_SPENDS = 8;
    /// @inheritdoc IVouchers
    uint256 public constant override PAYMENT_GAS = 30_000;
    /// @inheritdoc IVouchers
    uint256 public constant override MAX_TREASURY_SHARE = 500;
    /// @inheritdoc IVouchers
    uint256 public constant override MAX_POOL_SHARE = 500;

    uint256 private constant SHARE_UNIT = 10_000;
    uint256 private constant FEE_DIVISOR = 10; // a fee is at most gross / FEE_DIVISOR
    uint256 private constant STEALTH_SCHEME = 1; // ERC-5564: secp256k1 with view tags
    // Roots never expire: buyers may be slow. Semaphore adds this to a time, so that the largest
    // uint256 would overflow there.
    uint256 private constant ROOT_DURATION = type(uint64).max;

    ISemaphore private immutable _semaphore;
    IERC5564Announcer private immutable _announcer;
    address private immutable _timelock;
    address private immutable _treasury;
    address private immutable _pool;
    uint256 private immutable _scope;
    uint256 private immutable _rows;

    mapping(uint256 denomination => Row) private _table;
    mapping(uint256 group => Group) private _groups;
    mapping(bytes32 voucher => bytes32 message) private _spentBy;
    mapping(address to => uint256) private _owed;
    Shares private _shares;
    // Both only grow, so that no redemption pays for a slot that becomes nonzero again.
    Pair private _earned;
    Pair private _collected;

    /// @param semaphore_ Where groups are kept and proofs verified. WARNING: its verifier is not
    /// checked here; whoever deploys compares the code of both with the artifacts.
    /// @param announcer_ ERC-5564 announcer.
    /// @param timelock_ Changes shares within their caps; administers nothing else.
    /// @param treasury_ Gets the treasury's share.
    /// @param pool_ Gets the operators' share.
    /// @param treasuryShare In 1/10,000.
    /// @param poolShare In 1/10,000.
    /// @param table Denominations, amounts rising.
    constructor(
        ISemaphore semaphore_,
        IERC5564Announcer announcer_,
        // _requireContract refuses 0, and accounts besides.
        // slither-disable-start missing-zero-check
        address timelock_,
        address treasury_,
        address pool_,
        // slither-disable-end missing-zero-check
        uint256 treasuryShare,
        uint256 poolShare,
        Denomination[] memory table
    ) {
        _requireContract(address(semaphore_));
        _requireContract(address(announcer_));
        _requireContract(timelock_);
        _requireContract(treasury_);
        _requireContract(pool_);
        if (table.length == 0 || table.length > MAX_DENOMINATIONS) {
            revert VouchersDenominationCount(table.length);
        }
        _semaphore = semaphore_;
        _announcer = announcer_;
        _timelock = timelock_;
        _treasury = treasury_;
        _pool = pool_;
        _scope = uint256(keccak256(abi.encode("bits.voucher.v1", block.chainid, address(this))));
        _rows = table.length;
        for (uint256 i = 0; i < table.length; ++i) {
            if (table[i].asset != address(0)) revert VouchersUnsupportedAsset(table[i].asset);
            if (!_isRound(table[i].amount)) revert VouchersAmountNotRound(table[i].amount);
            if (i != 0 && table[i].amount <= table[i - 1].amount) {
                revert VouchersAmountsNotRising(table[i].amount);
            }
            _table[i] = Row({amount: table[i].amount, group: 0, asset: table[i].asset});
        }
        // _rows is immutable and cannot be read yet, hence the argument.
        _changeShares(treasuryShare, poolShare, table.length);
    }

    /// @inheritdoc IVouchers
    /// @dev Needs no lock: it calls Semaphore alone, which calls nobody, and a payee that buys a
    /// voucher while it is being paid does what it could do a moment later.
    function deposit(uint256 denomination, uint256 commitment) external payable override {
        Row storage row = _table[denomination];
        (uint256 amount, uint256 group) = (row.amount, row.group);
        if (amount == 0) revert VouchersUnknownDenomination(denomination);
        if (msg.value != amount) revert VouchersWrongSum(msg.value, amount);
        if (_groupSize(group) >= GROUP_CAPACITY) {
            Group storage full = _groups[group];
            group = _openGroup(denomination, full.treasuryShare, full.poolShare);
        }
        // After a call to Semaphore alone, see above.
        // slither-disable-next-line reentrancy-events
        emit Deposited(group, commitment);
        _semaphore.addMember(group, commitment);
    }

    /// @inheritdoc IVouchers
    function redeem(Redemption calldata redemption, Spend[] calldata spends)
        external
        override
        nonReentrant
    {
        // A validator can shift the time by seconds; deadlines are hours.
        // slither-disable-next-line timestamp
        if (block.timestamp > redemption.deadline) revert VouchersExpired(redemption.deadline);
        if (spends.length == 0 || spends.length > MAX_SPENDS) {
            revert VouchersSpendCount(spends.length);
        }
        if (redemption.payee == address(0)) revert VouchersZeroPayee();
        if (redemption.ephemeralKeyPrefix | 1 != 3) {
            revert VouchersMalformedEphemeralKey(redemption.ephemeralKeyPrefix);
        }
        uint256[] memory groups = new uint256[](spends.length);
        uint256[] memory nullifiers = new uint256[](spends.length);
        for (uint256 i = 0; i < spends.length; ++i) {
            groups[i] = spends[i].group;
            nullifiers[i] = spends[i].nullifier;
        }
        bytes32 message = _messageOf(redemption, groups, nullifiers);
        // All that is cheap comes before the pairings: a relayer that lost the race pays little.
        Totals memory totals = _markSpent(groups, nullifiers, message);
        if (redemption.fee > totals.gross / FEE_DIVISOR) {
            revert VouchersFeeTooHigh(redemption.fee, totals.gross / FEE_DIVISOR);
        }
        _verify(spends, message);
        emit Redeemed(
            message,
            redemption.tag,
            redemption.payee,
            totals.gross,
            redemption.fee,
            groups,
            nullifiers
        );
        _settle(redemption, totals);
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
    function setShares(uint256 treasuryShare, uint256 poolShare) external override nonReentrant {
        if (msg.sender != _timelock) revert VouchersUnauthorized(msg.sender);
        if (treasuryShare == _shares.treasury && poolShare == _shares.pool) {
            revert VouchersSharesUnchanged();
        }
        _changeShares(treasuryShare, poolShare, _rows);
    }

    /// @inheritdoc IVouchers
    function messageOf(
        Redemption calldata redemption,
        uint256[] calldata groups,
        uint256[] calldata nullifiers
    ) external view override returns (bytes32) {
        return _messageOf(redemption, groups, nullifiers);
    }

    /// @inheritdoc IVouchers
    function recordOf(
        Redemption calldata redemption,
        uint256[] calldata groups,
        uint256[] calldata nullifiers
    ) external view override returns (Record memory) {
        bytes32 message = _messageOf(redemption, groups, nullifiers);
        // The message binds all groups and nullifiers, and they were marked in one go: the first
        // speaks for all.
        if (
            groups.length == 0 || nullifiers.length == 0
                || _spentBy[_voucher(groups[0], nullifiers[0])] != message
        ) {
            revert VouchersNotRedeemed(message);
        }
        uint256 gross = 0;
        for (uint256 i = 0; i < groups.length; ++i) {
            gross += _groups[groups[i]].amount;
        }
        return
            Record({
                gross: gross, fee: redemption.fee, payee: redemption.payee, tag: redemption.tag
            });
    }

    /// @inheritdoc IVouchers
    function spentBy(uint256 group, uint256 nullifier) external view override returns (bytes32) {
        return _spentBy[_voucher(group, nullifier)];
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
    function owed(address to) external view override returns (uint256) {
        return _owed[to];
    }

    /// @inheritdoc IVouchers
    function scope() external view override returns (uint256) {
        return _scope;
    }

    /// @inheritdoc IVouchers
    function semaphore() external view override returns (address) {
        return address(_semaphore);
    }

    /// @inheritdoc IVouchers
    function announcer() external view override returns (address) {
        return address(_announcer);
    }

    /// @inheritdoc IVouchers
    function timelock() external view override returns (address) {
        return _timelock;
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

    /// @dev Marks each voucher, so that none counts twice, also within one call.
    function _markSpent(uint256[] memory groups, uint256[] memory nullifiers, bytes32 message)
        private
        returns (Totals memory totals)
    {
        for (uint256 i = 0; i < groups.length; ++i) {
            Group storage group = _groups[groups[i]];
            (uint256 amount, uint256 treasuryShare, uint256 poolShare) =
                (group.amount, group.treasuryShare, group.poolShare);
            if (amount == 0) revert VouchersUnknownGroup(groups[i]);
            bytes32 voucher = _voucher(groups[i], nullifiers[i]);
            if (_spentBy[voucher] != 0) revert VouchersSpent(groups[i], nullifiers[i]);
            _spentBy[voucher] = message;
            totals.gross += amount;
            totals.treasuryWeight += amount * treasuryShare;
            totals.poolWeight += amount * poolShare;
        }
    }

    /// @dev Asks Semaphore's view function. Its `validateProof` keeps nullifiers of its own, and
    /// anybody can burn one there by sending the proof ahead of us.
    function _verify(Spend[] calldata spends, bytes32 message) private view {
        for (uint256 i = 0; i < spends.length; ++i) {
            Spend calldata spend = spends[i];
            if (spend.merkleTreeRoot == 0) revert VouchersZeroRoot();
            ISemaphore.SemaphoreProof memory proof = ISemaphore.SemaphoreProof({
                merkleTreeDepth: TREE_DEPTH,
                merkleTreeRoot: spend.merkleTreeRoot,
                nullifier: spend.nullifier,
                message: uint256(message),
                scope: _scope,
                points: spend.points
            });
            // At most MAX_SPENDS calls of a view function, and one that fails is to stop all.
            // slither-disable-next-line calls-loop
            if (!_semaphore.verifyProof(spend.group, proof)) revert VouchersInvalidProof(i);
        }
    }

    /// @dev The shares are rounded down; what is left, to the last unit, is the payee's. Vouchers
    /// of groups with different shares pay the average, weighted by their amounts.
    // Whether something is owed is known only after the call that was refused. All that writes is
    // under the lock but {deposit}, which has no part in this.
    // slither-disable-next-line reentrancy-benign
    function _settle(Redemption calldata redemption, Totals memory totals) private {
        uint256 net = totals.gross - redemption.fee;
        uint256 unit = totals.gross * SHARE_UNIT;
        uint256 treasuryAmount = totals.treasuryWeight * net / unit;
        uint256 poolAmount = totals.poolWeight * net / unit;
        // Casts cannot cut: the sums are of at most MAX_SPENDS amounts of 96 bits.
        _earned.treasury += uint128(treasuryAmount);
        _earned.pool += uint128(poolAmount);
        _announcer.announce(
            STEALTH_SCHEME,
            redemption.payee,
            abi.encodePacked(redemption.ephemeralKeyPrefix, redemption.ephemeralKeyX),
            abi.encodePacked(redemption.viewTag)
        );
        if (redemption.fee != 0) {
            _pay(redemption.relayer == address(0) ? msg.sender : redemption.relayer, redemption.fee);
        }
        _pay(redemption.payee, net - treasuryAmount - poolAmount);
    }

    /// @dev Opens a new group for every denomination; the old ones keep the shares they have.
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

    /// @dev Pays, or remembers what is owed: no payee can stop the others' money.
    function _pay(address to, uint256 amount) private {
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

    function _messageOf(
        Redemption calldata redemption,
        uint256[] memory groups,
        uint256[] memory nullifiers
    ) private view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, address(this), redemption, groups, nullifiers));
    }

    function _groupSize(uint256 group) private view returns (uint256) {
        return ISemaphoreGroups(address(_semaphore)).getMerkleTreeSize(group);
    }

    function _voucher(uint256 group, uint256 nullifier) private pure returns (bytes32) {
        return keccak256(abi.encode(group, nullifier));
    }

    function _requireContract(address account) private view {
        if (account.code.length == 0) revert VouchersNotAContract(account);
    }

    function _isRound(uint256 amount) private pure returns (bool) {
        if (amount == 0) return false;
        while (amount % 10 == 0) amount /= 10;
        return amount == 1 || amount == 2 || amount == 5;
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {ISemaphore} from "@semaphore-protocol/contracts/interfaces/ISemaphore.sol";
import {Payouts} from "./Payouts.sol";
import {VouchersPayouts} from "./VouchersPayouts.sol";
import {VouchersTable} from "./VouchersTable.sol";
import {IERC5564Announcer} from "./interfaces/IERC5564Announcer.sol";
import {IVouchers} from "./interfaces/IVouchers.sol";

/// @title See {IVouchers}
/// @dev {VouchersTable} knows what a voucher is worth, {VouchersPayouts} pays; here vouchers are
/// bought and spent.
contract Vouchers is VouchersTable, VouchersPayouts {
    /// @dev Sums over the vouchers of a redemption. A weight is the sum of amount times share.
    struct Totals {
        uint256 gross;
        uint256 treasuryWeight;
        uint256 poolWeight;
    }

    /// @inheritdoc IVouchers
    uint256 public constant override MAX_SPENDS = 8;

    uint256 private constant SHARE_UNIT = 10_000;
    uint256 private constant FEE_DIVISOR = 10; // a fee is at most gross / FEE_DIVISOR
    uint256 private constant STEALTH_SCHEME = 1; // ERC-5564: secp256k1 with view tags

    IERC5564Announcer private immutable _announcer;
    uint256 private immutable _scope;

    mapping(bytes32 voucher => bytes32 message) private _spentBy;

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
        address timelock_,
        address treasury_,
        address pool_,
        uint256 treasuryShare,
        uint256 poolShare,
        Denomination[] memory table
    )
        VouchersTable(semaphore_, timelock_, treasuryShare, poolShare, table)
        Payouts(treasury_, pool_)
    {
        _requireContract(address(announcer_));
        _requireContract(treasury_);
        _requireContract(pool_);
        _announcer = announcer_;
        _scope = uint256(keccak256(abi.encode("bits.voucher.v1", block.chainid, address(this))));
    }

    /// @inheritdoc IVouchers
    /// @dev Needs no lock: it calls Semaphore alone, which calls nobody, and a payee that buys a
    /// voucher while it is being paid does what it could do a moment later.
    function deposit(uint256 denomination, uint256 commitment) external payable override {
        uint256 group = _groupForDeposit(denomination, msg.value);
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
            (uint256 amount,,) = _terms(groups[i]);
            gross += amount;
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
    function scope() external view override returns (uint256) {
        return _scope;
    }

    /// @inheritdoc IVouchers
    function announcer() external view override returns (address) {
        return address(_announcer);
    }

    /// @dev Marks each voucher, so that none counts twice, also within one call.
    function _markSpent(uint256[] memory groups, uint256[] memory nullifiers, bytes32 message)
        private
        returns (Totals memory totals)
    {
        for (uint256 i = 0; i < groups.length; ++i) {
            (uint256 amount, uint256 treasuryShare, uint256 poolShare) = _terms(groups[i]);
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
        _keep(treasuryAmount, poolAmount);
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

    function _messageOf(
        Redemption calldata redemption,
        uint256[] memory groups,
        uint256[] memory nullifiers
    ) private view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, address(this), redemption, groups, nullifiers));
    }

    function _voucher(uint256 group, uint256 nullifier) private pure returns (bytes32) {
        return keccak256(abi.encode(group, nullifier));
    }
}

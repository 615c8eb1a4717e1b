// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {IPayouts} from "./IPayouts.sol";

/// @title Prepaid vouchers of round denominations, spent by zero-knowledge proof
/// @notice A buyer deposits a denomination together with a commitment, and later spends the
/// voucher to any address by proving that one of the group's commitments is theirs. The chain
/// shows a deposit and a payment of a round sum, and nothing that links the two.
///
/// Every denomination has one Semaphore group at a time that takes deposits. A group never changes
/// its denomination or its shares. A new one is opened when the old one holds 2**20 commitments,
/// and for every denomination when the timelock changes the shares: what is in the old groups is
/// split as it was when it was bought.
///
/// WARNING: privacy is the number of other unspent vouchers in the same group. Deposit early, from
/// an address that is not linked to the payee, and spend later. Each change of shares starts new,
/// empty groups.
///
/// WARNING: use a secret once. Two deposits of one commitment in different groups have the same
/// nullifier, and spending both shows that one person made both.
interface IVouchers is IPayouts {
    /// @notice One row of the table of denominations, which is fixed at deployment.
    /// @param asset What is paid in: 0 is the chain's own coin, the only one accepted so far.
    /// @param amount In the asset's smallest unit (wei); 1, 2 or 5 times a power of ten.
    struct Denomination {
        address asset;
        uint96 amount;
    }

    /// @notice What all vouchers of a Semaphore group have in common, for ever.
    /// @param amount What each is worth, in the smallest unit of its denomination's asset.
    /// @param treasuryShare Of the sum after the fee, in 1/10,000.
    /// @param poolShare Of the sum after the fee, in 1/10,000.
    /// @param denomination Index in the table of denominations.
    struct Group {
        uint96 amount;
        uint16 treasuryShare;
        uint16 poolShare;
        uint16 denomination;
    }

    /// @notice Where the value of the vouchers goes. Each field is part of the message that the
    /// proofs sign, so whoever submits it can change none.
    /// @param payee Receives what is left after fee and shares; a fresh stealth address.
    /// @param ephemeralKeyPrefix 2 or 3: first byte of the compressed ephemeral public key.
    /// @param ephemeralKeyX The other 32 bytes of it.
    /// @param viewTag First byte of the hashed shared secret (ERC-5564).
    /// @param tag Commitment to what is bought; opened to key holders only, off chain.
    /// @param relayer Receives the fee; 0 is whoever submits.
    /// @param fee In the asset's smallest unit, at most a tenth of the vouchers' value.
    /// @param deadline Last second (Unix time) in which it can be redeemed.
    struct Redemption {
        address payee;
        uint8 ephemeralKeyPrefix;
        bytes32 ephemeralKeyX;
        bytes1 viewTag;
        bytes32 tag;
        address relayer;
        uint96 fee;
        uint64 deadline;
    }

    /// @notice The proof that spends one voucher.
    /// @param group Semaphore group that the voucher was deposited into.
    /// @param nullifier Of the voucher's secret and {scope}.
    /// @param merkleTreeRoot A root that the group has had at any time.
    /// @param points The Groth16 proof, for circuits of depth {TREE_DEPTH}.
    struct Spend {
        uint256 group;
        uint256 nullifier;
        uint256 merkleTreeRoot;
        uint256[8] points;
    }

    /// @notice What a key holder wants to know of a redemption.
    /// @param gross Value of all its vouchers.
    /// @param fee Of it, what the relayer got.
    /// @param payee To whom the rest went, after the shares.
    /// @param tag As in the redemption.
    struct Record {
        uint256 gross;
        uint256 fee;
        address payee;
        bytes32 tag;
    }

    /// @notice A group takes deposits from now on, instead of the denomination's last one.
    event GroupOpened(
        uint256 indexed denomination,
        uint256 indexed group,
        uint256 treasuryShare,
        uint256 poolShare
    );

    /// @notice A voucher was bought. Its index and the new root are in Semaphore's `MemberAdded`.
    event Deposited(uint256 indexed group, uint256 commitment);

    /// @notice Vouchers were spent. `groups[i]` and `nullifiers[i]` belong together.
    event Redeemed(
        bytes32 indexed message,
        bytes32 indexed tag,
        address payee,
        uint256 gross,
        uint256 fee,
        uint256[] groups,
        uint256[] nullifiers
    );

    /// @notice Vouchers bought from now on are split by these shares, in 1/10,000.
    event SharesChanged(uint256 treasuryShare, uint256 poolShare);

    // Construction

    /// @notice There is no contract where one is needed.
    error VouchersNotAContract(address account);

    /// @notice The table must have from 1 to {MAX_DENOMINATIONS} rows.
    error VouchersDenominationCount(uint256 count);

    /// @notice Only the chain's own coin (asset 0) is accepted.
    error VouchersUnsupportedAsset(address asset);

    /// @notice An amount must be 1, 2 or 5 times a power of ten: odd sums mark their owner.
    error VouchersAmountNotRound(uint256 amount);

    /// @notice Amounts must rise from row to row, so that none is there twice.
    error VouchersAmountsNotRising(uint256 amount);

    // Deposit

    /// @notice The table has no such row.
    error VouchersUnknownDenomination(uint256 denomination);

    /// @notice Exactly the denomination must be sent.
    error VouchersWrongSum(uint256 sent, uint256 due);

    // Redeem

    /// @notice From 1 to {MAX_SPENDS} vouchers can be spent at once.
    error VouchersSpendCount(uint256 count);

    /// @notice The deadline has passed.
    error VouchersExpired(uint256 deadline);

    /// @notice The payee must not be 0.
    error VouchersZeroPayee();

    /// @notice A compressed public key begins with 2 or 3.
    error VouchersMalformedEphemeralKey(uint8 prefix);

    /// @notice No voucher was ever deposited into this group.
    error VouchersUnknownGroup(uint256 group);

    /// @notice This voucher is spent.
    error VouchersSpent(uint256 group, uint256 nullifier);

    /// @notice The fee is more than a tenth of the vouchers' value.
    error VouchersFeeTooHigh(uint256 fee, uint256 limit);

    /// @notice Root 0 belongs to no group; a flaw of the circuit would let anyone prove it.
    error VouchersZeroRoot();

    /// @notice The proof at this index is wrong, or made for another redemption.
    error VouchersInvalidProof(uint256 index);

    // Everything else

    /// @notice This redemption has not taken place.
    error VouchersNotRedeemed(bytes32 message);

    /// @notice Nothing waits for this address.
    error VouchersNothingOwed(address to);

    /// @notice The address refuses the payment, which goes on waiting for it.
    error VouchersPaymentRefused(address to);

    /// @notice Only the timelock may do this.
    error VouchersUnauthorized(address caller);

    /// @notice A share is above its cap.
    error VouchersShareTooHigh(uint256 treasuryShare, uint256 poolShare);

    /// @notice These are the shares already; new groups would only make the crowd smaller.
    error VouchersSharesUnchanged();

    // Raised by Semaphore and its tree, and passed on; here so that wallets can read them.

    /// @notice This commitment is in the group. If somebody copied yours while your deposit was on
    /// its way, the voucher that they paid for is yours to spend.
    error LeafAlreadyExists();

    /// @notice A commitment must not be 0.
    error LeafCannotBeZero();

    /// @notice A commitment must be less than the order of the circuit's field.
    error LeafGreaterThanSnarkScalarField();

    /// @notice The group is empty.
    error Semaphore__GroupHasNoMembers();

    /// @notice The group never had this root.
    error Semaphore__MerkleTreeRootIsNotPartOfTheGroup();

    /// @notice Buys a voucher: adds a commitment to the denomination's group.
    /// @dev NOTE: the first deposit after a group is full also opens the next, and costs more.
    /// @param denomination Index in the table of denominations; exactly its amount must be sent.
    /// @param commitment Semaphore identity commitment of a fresh secret. WARNING: a commitment
    /// whose secret nobody knows is money lost.
    function deposit(uint256 denomination, uint256 commitment) external payable;

    /// @notice Spends vouchers: fee to the relayer, shares to treasury and pool, the rest to the
    /// payee, to the last unit; then announces the payment (ERC-5564, scheme 1).
    /// @dev A payee or relayer that refuses its payment, or needs more than {PAYMENT_GAS} gas for
    /// it, does not stop the rest: the sum waits for {withdraw}.
    ///
    /// WARNING: spending several vouchers at once shows that they have one owner, and the sums may
    /// tell what was bought.
    /// @param redemption Where the value goes.
    /// @param spends From 1 to {MAX_SPENDS} proofs, each over {messageOf} this very redemption and
    /// the groups and nullifiers of all of them in this order.
    function redeem(Redemption calldata redemption, Spend[] calldata spends) external;

    /// @notice Changes the shares of vouchers that are bought from now on. Timelock only.
    /// @dev IMPORTANT: opens a new group for every denomination; the crowd begins at zero again.
    /// @param treasuryShare In 1/10,000, at most {MAX_TREASURY_SHARE}.
    /// @param poolShare In 1/10,000, at most {MAX_POOL_SHARE}.
    function setShares(uint256 treasuryShare, uint256 poolShare) external;

    /// @notice What the proofs of a redemption sign.
    /// @dev keccak256(abi.encode(chain id, this contract, the fields of the redemption in order,
    /// groups, nullifiers)).
    function messageOf(
        Redemption calldata redemption,
        uint256[] calldata groups,
        uint256[] calldata nullifiers
    ) external view returns (bytes32);

    /// @notice The redemption's record, or reverts with {VouchersNotRedeemed}.
    /// @dev WARNING: this reads the newest state. Whoever gives something in return reads it at a
    /// finalised block.
    function recordOf(
        Redemption calldata redemption,
        uint256[] calldata groups,
        uint256[] calldata nullifiers
    ) external view returns (Record memory);

    /// @notice The message of the redemption that spent a voucher, or 0.
    function spentBy(uint256 group, uint256 nullifier) external view returns (bytes32 message);

    /// @notice The table of denominations.
    function denominations() external view returns (Denomination[] memory);

    /// @notice The group that takes a denomination's deposits now.
    /// @dev NOTE: if it is full, the next deposit goes into a new one.
    function currentGroup(uint256 denomination) external view returns (uint256 group);

    /// @notice What the vouchers of a group have in common.
    function groupOf(uint256 group) external view returns (Group memory);

    /// @notice The shares of vouchers bought now, in 1/10,000.
    function shares() external view returns (uint256 treasuryShare, uint256 poolShare);

    /// @notice The Semaphore scope of all vouchers of this contract on this chain.
    function scope() external view returns (uint256);

    /// @notice The contracts that this one works with, and its only administrator.
    function semaphore() external view returns (address);
    function announcer() external view returns (address);
    function timelock() external view returns (address);

    // These are constants of the implementation, and have the names of constants.
    // slither-disable-start naming-convention

    /// @notice Depth of the circuit, 20; larger trees have no proof.
    function TREE_DEPTH() external view returns (uint256);

    /// @notice Commitments that a group holds at most, 2**20.
    function GROUP_CAPACITY() external view returns (uint256);

    /// @notice Rows that the table of denominations has at most.
    function MAX_DENOMINATIONS() external view returns (uint256);

    /// @notice Vouchers that one call spends at most.
    function MAX_SPENDS() external view returns (uint256);

    /// @notice Caps of the shares, in 1/10,000: no timelock can go beyond them.
    function MAX_TREASURY_SHARE() external view returns (uint256);
    function MAX_POOL_SHARE() external view returns (uint256);

    // slither-disable-end naming-convention
}

// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {Semaphore} from "@semaphore-protocol/contracts/Semaphore.sol";
import {ISemaphoreVerifier} from "@semaphore-protocol/contracts/interfaces/ISemaphoreVerifier.sol";
import {ERC5564Announcer} from "../../src/ERC5564Announcer.sol";
import {OperatorPool} from "../../src/OperatorPool.sol";
import {Treasury} from "../../src/Treasury.sol";
import {Vouchers} from "../../src/Vouchers.sol";
import {IVouchers} from "../../src/interfaces/IVouchers.sol";
import {BitsTest} from "./BitsTest.sol";
import {StubVerifier} from "./StubVerifier.sol";

/// @dev Everything deployed, in the order in which it is deployed on a chain. The vouchers always
/// have the same address, which the proofs in fixtures/ are bound to.
abstract contract World is BitsTest {
    address internal constant DEPLOYER = 0x6b2EdB2E7e5E94A4735f043881a0bFf68bDCbe09;
    address internal constant PROPOSER = address(0x9409);
    address internal constant BUYER = address(0xb0b);
    address internal constant PAYEE = address(0xFACE1);
    address internal constant RELAYER = address(0xFACE2);
    uint256 internal constant DELAY = 2 days;
    uint96 internal constant SMALL = 0.001 ether; // denomination 0, at first group 0
    uint96 internal constant MIDDLE = 0.002 ether; // denomination 1, at first group 1
    uint96 internal constant LARGE = 0.005 ether; // denomination 2, at first group 2
    uint256 internal constant FIELD =
        21888242871839275222246405745257275088548364400416034343698204186575808495617;

    Semaphore internal semaphore;
    ERC5564Announcer internal announcer;
    TimelockController internal timelock;
    Treasury internal treasury;
    OperatorPool internal pool;
    Vouchers internal vouchers;

    function setUp() public virtual {
        deployWorld(ISemaphoreVerifier(address(new StubVerifier())));
    }

    function deployWorld(ISemaphoreVerifier verifier) internal {
        vm.chainId(31337);
        vm.warp(1_800_000_000);
        semaphore = new Semaphore(verifier);
        announcer = new ERC5564Announcer();
        timelock = newTimelock();
        treasury = new Treasury(address(timelock));
        pool = new OperatorPool(address(timelock));
        vm.prank(DEPLOYER);
        vouchers = newVouchers(300, 200, table());
        vm.deal(BUYER, 1_000_000 ether);
    }

    function newTimelock() internal returns (TimelockController) {
        address[] memory proposers = new address[](1);
        proposers[0] = PROPOSER;
        address[] memory executors = new address[](1); // address 0: anyone may execute
        return new TimelockController(DELAY, proposers, executors, address(0));
    }

    function newVouchers(
        uint256 treasuryShare,
        uint256 poolShare,
        IVouchers.Denomination[] memory rows
    ) internal returns (Vouchers) {
        return new Vouchers(
            semaphore,
            announcer,
            address(timelock),
            address(treasury),
            address(pool),
            treasuryShare,
            poolShare,
            rows
        );
    }

    function table() internal pure returns (IVouchers.Denomination[] memory rows) {
        rows = new IVouchers.Denomination[](3);
        rows[0].amount = SMALL;
        rows[1].amount = MIDDLE;
        rows[2].amount = LARGE;
    }

    function amountOf(uint256 denomination) internal pure returns (uint256) {
        return table()[denomination].amount;
    }

    function deposit(uint256 denomination, uint256 commitment) internal {
        vm.prank(BUYER);
        vouchers.deposit{value: amountOf(denomination)}(denomination, commitment);
    }

    function changeShares(uint256 treasuryShare, uint256 poolShare) internal {
        throughTimelock(
            address(vouchers), abi.encodeCall(IVouchers.setShares, (treasuryShare, poolShare))
        );
    }

    function throughTimelock(address target, bytes memory data) internal {
        vm.prank(PROPOSER);
        timelock.schedule(target, 0, data, 0, 0, DELAY);
        vm.warp(block.timestamp + DELAY);
        timelock.execute(target, 0, data, 0, 0);
    }

    /// @dev A redemption that the stub verifier's proofs below are made for.
    function redemptionTo(address payee) internal pure returns (IVouchers.Redemption memory) {
        return IVouchers.Redemption({
            payee: payee,
            ephemeralKeyPrefix: 3,
            ephemeralKeyX: keccak256("ephemeral key"),
            viewTag: 0x7a,
            tag: keccak256("tag"),
            relayer: address(0),
            fee: 0,
            deadline: type(uint64).max
        });
    }

    function one(uint256 value) internal pure returns (uint256[] memory values) {
        values = new uint256[](1);
        values[0] = value;
    }

    function spendsOf(uint256[] memory groups, uint256[] memory nullifiers)
        internal
        view
        returns (IVouchers.Spend[] memory spends)
    {
        spends = new IVouchers.Spend[](groups.length);
        for (uint256 i = 0; i < groups.length; ++i) {
            spends[i].group = groups[i];
            spends[i].nullifier = nullifiers[i];
            spends[i].merkleTreeRoot = semaphore.getMerkleTreeRoot(groups[i]);
        }
    }

    /// @dev Proofs that the stub verifier accepts.
    function prove(
        IVouchers.Redemption memory redemption,
        uint256[] memory groups,
        uint256[] memory nullifiers
    ) internal view returns (IVouchers.Spend[] memory spends) {
        bytes32 message = vouchers.messageOf(redemption, groups, nullifiers);
        spends = spendsOf(groups, nullifiers);
        for (uint256 i = 0; i < spends.length; ++i) {
            spends[i].points[0] = uint256(
                keccak256(
                    abi.encode(
                        spends[i].merkleTreeRoot,
                        nullifiers[i],
                        uint256(keccak256(abi.encode(message))) >> 8,
                        uint256(keccak256(abi.encode(vouchers.scope()))) >> 8
                    )
                )
            );
        }
    }

    function redeem(
        IVouchers.Redemption memory redemption,
        uint256[] memory groups,
        uint256[] memory nullifiers
    ) internal {
        vouchers.redeem(redemption, prove(redemption, groups, nullifiers));
    }

    /// @dev Leaves room for one more commitment, by writing the size into Semaphore's storage:
    /// merkleTrees is its first variable, size the first field.
    function fillUp(uint256 group) internal {
        bytes32 tree = keccak256(abi.encode(group, 0));
        vm.store(address(semaphore), tree, bytes32(uint256((1 << 20) - 1)));
        vm.store(address(semaphore), bytes32(uint256(tree) + 1), bytes32(uint256(20)));
    }
}

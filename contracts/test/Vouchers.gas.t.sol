// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {IVouchers} from "../src/interfaces/IVouchers.sol";
import {RefusingPayee} from "./support/Payees.sol";
import {RealProofs} from "./support/RealProofs.sol";

/// @dev Measures whole transactions, with real proofs, into snapshots/; a difference from the
/// committed numbers fails the tests (tests/contracts/test_forge.py).
/// forge-config: default.isolate = true
contract VouchersGasTest is RealProofs {
    /// @dev What Semaphore alone takes: its own group, its own way of spending.
    function test_gas_of_semaphore() public {
        uint256 group = semaphore.createGroup(address(this), type(uint64).max);
        for (uint256 i = 0; i < 4; ++i) {
            semaphore.addMember(group, commitment(i));
            vm.snapshotGasLastCall("Semaphore", string.concat("addMember ", name(i)));
        }
        group = semaphore.createGroup(address(this), type(uint64).max);
        semaphore.addMember(group, 1);
        fillUp(group);
        semaphore.addMember(group, 2);
        vm.snapshotGasLastCall("Semaphore", "addMember 2^20");
        (IVouchers.Redemption memory r, IVouchers.Spend[] memory spends) = read(".relayed");
        semaphore.validateProof(0, semaphoreProof(r, spends));
        vm.snapshotGasLastCall("Semaphore", "validateProof");
    }

    /// @dev Deposits into the group of a denomination that nobody has bought yet.
    function test_gas_of_deposit() public {
        for (uint256 i = 0; i < 4; ++i) {
            deposit(2, commitment(i));
            vm.snapshotGasLastCall("Vouchers", string.concat("deposit ", name(i)));
        }
    }

    /// @dev The dearest deposits: the last into a group, and the next.
    function test_gas_of_deposit_at_the_end_of_a_group() public {
        fillUp(0);
        deposit(0, 1);
        vm.snapshotGasLastCall("Vouchers", "deposit 2^20");
        deposit(0, 2);
        vm.snapshotGasLastCall("Vouchers", "deposit 2^20 + 1 (opens a group)");
    }

    /// @dev One voucher and two, the very first redemption and later ones, and who comes too late.
    function test_gas_of_redeem() public {
        (IVouchers.Redemption memory r, IVouchers.Spend[] memory spends) = read(".relayed");
        vm.prank(RELAYER);
        vouchers.redeem(r, spends);
        vm.snapshotGasLastCall("Vouchers", "redeem, 1 voucher, very first, new payee, new relayer");
        (r, spends) = read(".pair");
        vouchers.redeem(r, spends);
        vm.snapshotGasLastCall("Vouchers", "redeem, 2 vouchers, known payee, no fee");
        (bool accepted,) = address(vouchers).call(abi.encodeCall(IVouchers.redeem, (r, spends)));
        vm.snapshotGasLastCall("Vouchers", "redeem, 2 vouchers, too late");
        assertTrue(!accepted, "they are spent");
    }

    /// @dev The usual case: others have redeemed before, the relayer has been paid before, the
    /// payee is a fresh stealth address.
    function test_gas_of_redeem_as_usual() public {
        (IVouchers.Redemption memory r, IVouchers.Spend[] memory spends) = read(".pair");
        vouchers.redeem(r, spends);
        vouchers.collect();
        vm.deal(PAYEE, 0);
        vm.deal(RELAYER, 1);
        (r, spends) = read(".relayed");
        vm.prank(RELAYER);
        vouchers.redeem(r, spends);
        vm.snapshotGasLastCall("Vouchers", "redeem, 1 voucher, as usual");
    }

    /// @dev What else there is.
    function test_gas_of_the_rest() public {
        (IVouchers.Redemption memory r, IVouchers.Spend[] memory spends) = read(".pair");
        RefusingPayee payee = new RefusingPayee();
        vm.etch(PAYEE, address(payee).code);
        vouchers.redeem(r, spends);
        RefusingPayee(payable(PAYEE)).open();
        vouchers.withdraw(PAYEE);
        vm.snapshotGasLastCall("Vouchers", "withdraw");
        vouchers.collect();
        vm.snapshotGasLastCall("Vouchers", "collect");
        vm.prank(address(timelock));
        vouchers.setShares(400, 200);
        vm.snapshotGasLastCall("Vouchers", "setShares, 3 denominations");
    }

    function name(uint256 index) private pure returns (string memory) {
        return ["1", "2", "3", "4"][index];
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {IVouchers} from "../src/interfaces/IVouchers.sol";
import {World} from "./support/World.sol";

contract VouchersDepositTest is World {
    /// @dev A deposit adds the commitment to the denomination's group, keeps the money and says so.
    function test_deposit_adds_member_and_keeps_money() public {
        vm.expectEmit(address(vouchers));
        emit IVouchers.Deposited(1, 77);
        deposit(1, 77);
        assertTrue(semaphore.hasMember(1, 77), "member of group 1");
        assertEq(address(vouchers).balance, MIDDLE, "kept");
    }

    /// @dev Any sum but the exact one is refused.
    function testFuzz_deposit_refuses_other_sums(uint96 sent) public {
        if (sent == SMALL) ++sent;
        vm.deal(BUYER, sent);
        expectError(IVouchers.VouchersWrongSum.selector, sent, SMALL);
        vm.prank(BUYER);
        vouchers.deposit{value: sent}(0, 1);
    }

    /// @dev A denomination outside the table is refused, with or without money.
    function testFuzz_deposit_refuses_unknown_denomination(uint256 denomination) public {
        denomination = 3 + denomination % (type(uint256).max - 3);
        expectError(IVouchers.VouchersUnknownDenomination.selector, denomination);
        vouchers.deposit(denomination, 1);
    }

    /// @dev A copied commitment reads as what it is, and so do those that are no field elements.
    function test_deposit_refuses_bad_commitments() public {
        deposit(0, 1);
        expectError(IVouchers.LeafAlreadyExists.selector);
        deposit(0, 1);
        expectError(IVouchers.LeafCannotBeZero.selector);
        deposit(0, 0);
        expectError(IVouchers.LeafGreaterThanSnarkScalarField.selector);
        deposit(0, FIELD);
        deposit(0, FIELD - 1);
        assertEq(semaphore.getMerkleTreeSize(0), 2, "two of them got in");
    }

    /// @dev A group takes exactly 2**20 commitments; the next opens a new group with its shares.
    function test_deposit_rolls_over_when_group_is_full() public {
        deposit(0, 1);
        fillUp(0);
        deposit(0, 2);
        assertEq(semaphore.getMerkleTreeSize(0), 1 << 20, "the last place is used");
        assertEq(semaphore.getMerkleTreeDepth(0), 20, "and has a proof of depth 20");
        assertEq(vouchers.currentGroup(0), 0, "still the old group");
        vm.expectEmit(address(vouchers));
        emit IVouchers.GroupOpened(0, 3, 300, 200);
        deposit(0, 3);
        assertEq(vouchers.currentGroup(0), 3, "the new group");
        assertTrue(semaphore.hasMember(3, 3), "member of the new group");
        assertEq(semaphore.getGroupAdmin(3), address(vouchers), "administered by the contract");
        assertEq(vouchers.groupOf(3).amount, SMALL, "same amount");
        assertEq(vouchers.groupOf(3).denomination, 0, "same denomination");
        assertEq(vouchers.currentGroup(1), 1, "others stay");
        deposit(0, 4);
        assertEq(semaphore.getMerkleTreeSize(3), 2, "it goes on there");
    }

    /// @dev What is in a full group can still be spent.
    function test_full_group_can_be_spent_from() public {
        deposit(0, 1);
        fillUp(0);
        deposit(0, 2);
        deposit(0, 3);
        redeem(redemptionTo(PAYEE), one(0), one(555));
        assertEq(PAYEE.balance, uint256(SMALL) * 95 / 100, "paid");
    }

    /// @dev Nobody pays in by a plain transfer: it would be nobody's money.
    function test_plain_transfer_is_refused() public {
        vm.prank(BUYER);
        (bool accepted,) = address(vouchers).call{value: 1}("");
        assertTrue(!accepted, "refused");
    }

    /// @dev Nobody but the contract adds members, so that none comes in unpaid.
    function test_members_come_in_through_deposit_only() public {
        vm.expectRevert();
        semaphore.addMember(0, 9);
        vm.expectRevert();
        semaphore.updateGroupAdmin(0, address(this));
    }

    /// @dev Groups that strangers open in Semaphore are worth nothing here.
    function test_foreign_group_is_unknown() public {
        uint256 group = semaphore.createGroup();
        semaphore.addMember(group, 5);
        IVouchers.Redemption memory redemption = redemptionTo(PAYEE);
        IVouchers.Spend[] memory spends = prove(redemption, one(group), one(1));
        expectError(IVouchers.VouchersUnknownGroup.selector, group);
        vouchers.redeem(redemption, spends);
        expectError(IVouchers.VouchersUnknownGroup.selector, group);
        vouchers.groupOf(group);
    }
}

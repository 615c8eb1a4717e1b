// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {Vouchers} from "../src/Vouchers.sol";
import {IVouchers} from "../src/interfaces/IVouchers.sol";
import {RefusingPayee} from "./support/Payees.sol";
import {World} from "./support/World.sol";

/// @dev Does at random all that can be done, and keeps books of its own.
contract VouchersActor is World {
    struct Voucher {
        uint256 group;
        uint256 nullifier;
        uint256 amount;
    }

    Voucher[] private _unspent;
    Voucher[] private _spent;
    address[] private _payees;
    uint256 private _counter;
    uint256 public outstanding; // value of unspent vouchers
    uint256 public owedInAll;
    uint256 public paidOut;
    uint256 public paidIn;

    constructor() {
        super.setUp();
        _payees.push(address(0xA1));
        _payees.push(address(0xA2));
        _payees.push(address(new RefusingPayee()));
        _payees.push(address(new RefusingPayee()));
        _payees.push(address(vouchers)); // refuses plain transfers
    }

    /// @dev Among the functions that are called at random, and not one of them.
    function setUp() public override {}

    function world() external view returns (Vouchers) {
        return vouchers;
    }

    function payees() external view returns (address[] memory) {
        return _payees;
    }

    function spent() external view returns (Voucher[] memory) {
        return _spent;
    }

    function buy(uint256 denomination) external {
        denomination %= 3;
        uint256 amount = amountOf(denomination);
        deposit(denomination, ++_counter);
        _unspent.push(Voucher(vouchers.currentGroup(denomination), _counter, amount));
        outstanding += amount;
        paidIn += amount;
    }

    function spend(uint256 seed, uint256 count, uint96 fee, bool ownRelay) external {
        count = 1 + count % 8;
        if (count > _unspent.length) count = _unspent.length;
        if (count == 0) return;
        uint256[] memory groups = new uint256[](count);
        uint256[] memory nullifiers = new uint256[](count);
        uint256 gross = 0;
        for (uint256 i = 0; i < count; ++i) {
            Voucher memory voucher = _take(seed >> (8 * i));
            (groups[i], nullifiers[i]) = (voucher.group, voucher.nullifier);
            gross += voucher.amount;
        }
        IVouchers.Redemption memory redemption = redemptionTo(_payees[seed % _payees.length]);
        redemption.fee = uint96(fee % (gross / 10 + 1));
        if (!ownRelay) redemption.relayer = _payees[fee % _payees.length];

        uint256 balance = address(vouchers).balance;
        (uint256 liabilities, uint256 owedBefore) = (_accrued(), _owed());
        redeem(redemption, groups, nullifiers);
        uint256 sent = balance - address(vouchers).balance;
        uint256 deferred = _owed() - owedBefore;
        assertEq(sent + deferred + _accrued() - liabilities, gross, "all of it, and no more");
        outstanding -= gross;
        owedInAll += deferred;
        paidOut += sent;
    }

    /// @dev Spends something that is spent; must always fail.
    function spendAgain(uint256 seed) external {
        if (_spent.length == 0) return;
        Voucher memory voucher = _spent[seed % _spent.length];
        IVouchers.Redemption memory redemption = redemptionTo(address(uint160(1 + seed % 1000)));
        IVouchers.Spend[] memory spends =
            prove(redemption, one(voucher.group), one(voucher.nullifier));
        expectError(IVouchers.VouchersSpent.selector, voucher.group, voucher.nullifier);
        vouchers.redeem(redemption, spends);
    }

    /// @dev Spends without a valid proof; must always fail.
    function steal(uint256 seed, uint256 point) external {
        if (_unspent.length == 0) return;
        Voucher memory voucher = _unspent[seed % _unspent.length];
        IVouchers.Spend[] memory spends = spendsOf(one(voucher.group), one(voucher.nullifier));
        spends[0].points[0] = point;
        expectError(IVouchers.VouchersInvalidProof.selector, 0);
        vouchers.redeem(redemptionTo(address(0xbad)), spends);
    }

    function withdraw(uint256 seed, bool opens) external {
        address payee = _payees[seed % _payees.length];
        uint256 amount = vouchers.owed(payee);
        if (amount == 0) return;
        if (opens && payee.code.length != 0 && payee != address(vouchers)) {
            RefusingPayee(payable(payee)).open();
        }
        try vouchers.withdraw(payee) {
            owedInAll -= amount;
            paidOut += amount;
        } catch {
            assertEq(vouchers.owed(payee), amount, "goes on waiting");
        }
    }

    function collect() external {
        uint256 amount = _accrued();
        vouchers.collect();
        assertEq(_accrued(), 0, "collected");
        paidOut += amount;
    }

    function change(uint256 treasuryShare, uint256 poolShare) external {
        (uint256 first, uint256 second) = vouchers.shares();
        (treasuryShare, poolShare) = (treasuryShare % 501, poolShare % 501);
        if (treasuryShare == first && poolShare == second) return;
        vm.prank(address(timelock));
        vouchers.setShares(treasuryShare, poolShare);
    }

    function _take(uint256 seed) private returns (Voucher memory voucher) {
        uint256 i = seed % _unspent.length;
        voucher = _unspent[i];
        _unspent[i] = _unspent[_unspent.length - 1];
        _unspent.pop();
        _spent.push(voucher);
    }

    function _accrued() private view returns (uint256) {
        (uint256 forTreasury, uint256 forPool) = vouchers.accrued();
        return forTreasury + forPool;
    }

    function _owed() private view returns (uint256 sum) {
        for (uint256 i = 0; i < _payees.length; ++i) {
            sum += vouchers.owed(_payees[i]);
        }
        sum += vouchers.owed(address(this));
    }

    receive() external payable {}
}

contract VouchersInvariantTest is World {
    VouchersActor private actor;

    function setUp() public override {
        actor = new VouchersActor();
        vouchers = actor.world();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(actor);
    }

    /// @dev The contract holds exactly what is unspent, owed and accrued, to the last wei.
    function invariant_conservation() public view {
        (uint256 forTreasury, uint256 forPool) = vouchers.accrued();
        assertEq(
            address(vouchers).balance,
            actor.outstanding() + actor.owedInAll() + forTreasury + forPool,
            "holds what it owes"
        );
        assertEq(actor.paidIn(), address(vouchers).balance + actor.paidOut(), "in is out and here");
    }

    /// @dev Spent vouchers stay spent, and nobody who has proved nothing gets anything.
    function invariant_spent_stays_spent() public view {
        VouchersActor.Voucher[] memory spent = actor.spent();
        for (uint256 i = 0; i < spent.length; ++i) {
            assertTrue(vouchers.spentBy(spent[i].group, spent[i].nullifier) != 0, "spent");
        }
        assertEq(address(0xbad).balance, 0, "nothing stolen");
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {InvoiceAccount} from "./InvoiceAccount.sol";
import {Payouts} from "./Payouts.sol";
import {IERC5564Announcer} from "./interfaces/IERC5564Announcer.sol";
import {IInvoiceAccount} from "./interfaces/IInvoiceAccount.sol";
import {IInvoiceFactory} from "./interfaces/IInvoiceFactory.sol";
import {IPayouts} from "./interfaces/IPayouts.sol";
import {IVouchers} from "./interfaces/IVouchers.sol";

/// @title See {IInvoiceFactory}
contract InvoiceFactory is IInvoiceFactory, Payouts {
    uint256 private constant SHARE_UNIT = 10_000;
    uint256 private constant FEE_DIVISOR = 10; // a fee is at most gross / FEE_DIVISOR
    uint256 private constant STEALTH_SCHEME = 1; // ERC-5564: secp256k1 with view tags

    IVouchers private immutable _vouchers;
    IERC5564Announcer private immutable _announcer;
    address private immutable _account;

    // The invoice that is being swept: the only one that may pay us.
    address private transient _sweeping;

    /// @param vouchers_ Says the shares, and with its construction who gets them. WARNING: its code
    /// is not checked here; whoever deploys compares it with the artifact.
    constructor(IVouchers vouchers_) Payouts(_treasuryOf(vouchers_), vouchers_.pool()) {
        _vouchers = vouchers_;
        _announcer = IERC5564Announcer(vouchers_.announcer());
        _account = address(new InvoiceAccount());
    }

    /// @dev Anything else would stay here for ever.
    receive() external payable {
        if (msg.sender != _sweeping) revert InvoicesUnexpectedPayment(msg.sender);
    }

    /// @inheritdoc IInvoiceFactory
    // Checks, then all that is kept, then the calls; whether something is owed is known only after
    // the call that was refused. All that writes is under the lock. The shares are read from a
    // contract that is ours and calls nobody.
    // slither-disable-next-line reentrancy-benign
    function sweep(Invoice calldata invoice) external override nonReentrant {
        (address place, bytes32 salt) = _find(invoice);
        uint256 gross = place.balance;
        // Nothing but 0 is asked for: nobody gains by sending a wei.
        // slither-disable-next-line incorrect-equality
        if (gross == 0) revert InvoicesNothingToSweep(place);
        uint256 fee = invoice.fee;
        if (fee > gross / FEE_DIVISOR) fee = gross / FEE_DIVISOR;
        (uint256 treasuryShare, uint256 poolShare) = _vouchers.shares();
        uint256 treasuryAmount = (gross - fee) * treasuryShare / SHARE_UNIT;
        uint256 poolAmount = (gross - fee) * poolShare / SHARE_UNIT;
        _keep(treasuryAmount, poolAmount);
        emit Swept(place, invoice.payee, gross, fee, treasuryAmount, poolAmount);
        _create(place, salt);
        _sweeping = place;
        IInvoiceAccount(place).release();
        _sweeping = address(0);
        _announce(invoice);
        if (fee != 0) _pay(msg.sender, fee);
        _pay(invoice.payee, gross - fee - treasuryAmount - poolAmount);
    }

    /// @inheritdoc IInvoiceFactory
    // The token's code is anybody's; under the lock, and last of all, there is nothing that it could
    // meet half done.
    function recover(Invoice calldata invoice, address token) external override nonReentrant {
        _requireContract(token);
        (address place, bytes32 salt) = _find(invoice);
        uint256 amount = IERC20(token).balanceOf(place);
        // slither-disable-next-line incorrect-equality
        if (amount == 0) revert InvoicesNothingToRecover(place, token);
        emit Recovered(place, token, invoice.payee, amount);
        _create(place, salt);
        _announce(invoice);
        IInvoiceAccount(place).releaseToken(token, invoice.payee, amount);
    }

    /// @inheritdoc IPayouts
    function withdraw(address to) external override nonReentrant {
        uint256 amount = _owed[to];
        if (amount == 0) revert InvoicesNothingOwed(to);
        _owed[to] = 0;
        emit Withdrawn(to, amount);
        if (!_send(to, amount, gasleft())) revert InvoicesPaymentRefused(to);
    }

    /// @inheritdoc IPayouts
    function collect() external override nonReentrant {
        (uint256 treasuryAmount, uint256 poolAmount) = accrued();
        _collected = _earned;
        emit Collected(treasuryAmount, poolAmount);
        if (!_send(_treasury, treasuryAmount, gasleft())) revert InvoicesPaymentRefused(_treasury);
        if (!_send(_pool, poolAmount, gasleft())) revert InvoicesPaymentRefused(_pool);
    }

    /// @inheritdoc IInvoiceFactory
    function addressOf(Invoice calldata invoice) external view override returns (address place) {
        (place,) = _find(invoice);
    }

    /// @inheritdoc IInvoiceFactory
    function account() external view override returns (address) {
        return _account;
    }

    /// @inheritdoc IInvoiceFactory
    function vouchers() external view override returns (address) {
        return address(_vouchers);
    }

    /// @inheritdoc IInvoiceFactory
    function announcer() external view override returns (address) {
        return address(_announcer);
    }

    /// @dev Puts the code to the address, if this is the first time.
    function _create(address place, bytes32 salt) private {
        if (place.code.length == 0) {
            // It is the address that was computed: the factory creates nothing else with this code.
            // slither-disable-next-line unused-return
            Clones.cloneDeterministic(_account, salt);
        }
    }

    function _announce(Invoice calldata invoice) private {
        _announcer.announce(
            STEALTH_SCHEME,
            invoice.payee,
            abi.encodePacked(invoice.ephemeralKeyPrefix, invoice.ephemeralKeyX),
            abi.encodePacked(invoice.viewTag)
        );
    }

    /// @dev Refuses what could never be paid out or found, also before anybody pays it.
    function _find(Invoice calldata invoice) private view returns (address place, bytes32 salt) {
        if (invoice.payee == address(0)) revert InvoicesZeroPayee();
        if (invoice.ephemeralKeyPrefix | 1 != 3) {
            revert InvoicesMalformedEphemeralKey(invoice.ephemeralKeyPrefix);
        }
        salt = keccak256(abi.encode(invoice));
        place = Clones.predictDeterministicAddress(_account, salt);
    }

    function _requireContract(address found) private view {
        if (found.code.length == 0) revert InvoicesNotAContract(found);
    }

    /// @dev The first thing that the constructor asks for.
    function _treasuryOf(IVouchers vouchers_) private view returns (address) {
        _requireContract(address(vouchers_));
        return vouchers_.treasury();
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {IInvoiceFactory} from "../../src/interfaces/IInvoiceFactory.sol";
import {IVouchers} from "../../src/interfaces/IVouchers.sol";

/// @dev Takes nothing, until it is told to.
contract RefusingPayee {
    bool private _open;

    receive() external payable {
        require(_open, "closed");
    }

    function open() external {
        _open = true;
    }
}

/// @dev Burns all gas that it gets.
contract BurningPayee {
    receive() external payable {
        while (true) {}
    }
}

/// @dev Reverts with as much data as it has gas for; whoever copies it pays for it once more.
contract BombPayee {
    receive() external payable {
        assembly {
            revert(0, 50000)
        }
    }
}

/// @dev Calls back, by a call that it is given, and remembers whether that worked.
contract ReenteringPayee {
    IVouchers private immutable _vouchers;
    bytes private _callback;
    uint256 private _value;
    uint256 public calls;
    bool public entered;
    bytes public answer;

    constructor(IVouchers vouchers) {
        _vouchers = vouchers;
    }

    function plan(bytes calldata callback, uint256 value) external {
        _callback = callback;
        _value = value;
    }

    receive() external payable {
        ++calls;
        (entered, answer) = address(_vouchers).call{value: _value}(_callback);
    }
}

/// @dev Sweeps invoices, and calls back while it gets the fee.
contract ReenteringCaller {
    IInvoiceFactory private immutable _factory;
    bytes private _callback;
    uint256 private _value;

    constructor(IInvoiceFactory factory) {
        _factory = factory;
    }

    function sweep(IInvoiceFactory.Invoice calldata invoice, bytes calldata callback) external {
        (_callback, _value) = (callback, 0);
        _factory.sweep(invoice);
    }

    function sweepAndPay(IInvoiceFactory.Invoice calldata invoice, uint256 value) external {
        (_callback, _value) = ("", value);
        _factory.sweep(invoice);
    }

    receive() external payable {
        (, bytes memory found) = address(_factory).call{value: _value}(_callback);
        assembly {
            tstore(0, mload(found))
            for { let i := 0 } lt(i, mload(found)) { i := add(i, 32) } {
                tstore(add(1, i), mload(add(add(found, 32), i)))
            }
        }
    }

    /// @dev What the last call was answered with. It was kept in transient storage: 30,000 gas are
    /// not enough for more.
    function answer() external view returns (bytes memory found) {
        assembly {
            found := mload(64)
            let size := tload(0)
            mstore(found, size)
            for { let i := 0 } lt(i, size) { i := add(i, 32) } {
                mstore(add(add(found, 32), i), tload(add(1, i)))
            }
            mstore(64, add(add(found, 64), size))
        }
    }
}

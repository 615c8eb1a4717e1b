// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

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

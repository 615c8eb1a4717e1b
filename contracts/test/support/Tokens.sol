// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @dev As the standard has it.
contract PlainToken is ERC20("Plain", "PLN") {
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

/// @dev Returns nothing from `transfer`, as USDT does.
contract SilentToken {
    mapping(address account => uint256) public balanceOf;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function transfer(address to, uint256 amount) external {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
    }
}

/// @dev Keeps a hundredth of what is moved.
contract TollToken is PlainToken {
    function _update(address from, address to, uint256 amount) internal override {
        uint256 toll = from == address(0) ? 0 : amount / 100;
        super._update(from, to, amount - toll);
        if (toll != 0) super._update(from, address(this), toll);
    }
}

/// @dev Moves nothing, and says so in one of three ways: it reverts, returns false, or returns a
/// lie about what there is.
contract BrokenToken {
    uint256 public way;

    constructor(uint256 way_) {
        way = way_;
    }

    function balanceOf(address) external view returns (uint256) {
        return way == 2 ? 0 : 1;
    }

    function transfer(address, uint256) external view returns (bool) {
        require(way != 0, "no");
        return false;
    }
}

/// @dev Makes a call of its own while it is moved, and remembers whether that worked.
contract ReenteringToken is PlainToken {
    address private _target;
    bytes private _callback;
    bool public called;
    bool public entered;
    bytes public answer;

    function plan(address target, bytes calldata callback) external {
        (_target, _callback) = (target, callback);
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (_target != address(0)) {
            called = true;
            (entered, answer) = _target.call(_callback);
        }
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

error ProbeRefused(uint256 amount, address who);

/// A contract that does what a chain must get right: errors, logs, refunds, nested calls.
contract Probe {
    event Noted(uint256 indexed number, address indexed who, bytes data);
    event Plain(uint256 number);

    mapping(uint256 => uint256) public slots;
    Probe public child;

    constructor(Probe child_) payable {
        child = child_;
    }

    receive() external payable {}

    function store(uint256 first, uint256 count, uint256 value) external {
        for (uint256 i = first; i < first + count; ++i) slots[i] = value;
    }

    function note(uint256 count) external {
        for (uint256 i = 0; i < count; ++i) {
            emit Noted(i, msg.sender, abi.encode(i));
            emit Plain(i);
        }
    }

    function refuse(uint256 amount) external view {
        revert ProbeRefused(amount, msg.sender);
    }

    function refuseWithText() external pure {
        revert("not today");
    }

    function panic(uint256 x) external pure returns (uint256) {
        return x / (x - x);
    }

    function spin() external view {
        while (gasleft() > 0) {}
    }

    /// Needs far more gas in hand than it uses: each level passes on 63/64.
    function deep(uint256 count) external {
        if (address(child) == address(0)) {
            for (uint256 i = 1; i <= count; ++i) slots[i] = i;
        } else {
            child.deep(count);
        }
    }

    function context() external view returns (uint256, uint256, uint256, uint256, address) {
        return (block.number, block.timestamp, block.chainid, block.basefee, block.coinbase);
    }

    function precompile(uint160 which, bytes calldata data, uint256 gasLimit)
        external
        returns (bool ok, bytes memory output)
    {
        uint256 limit = gasLimit == 0 ? gasleft() : gasLimit;
        (ok, output) = address(which).call{gas: limit}(data);
        emit Noted(ok ? 1 : 0, address(which), output);
    }
}

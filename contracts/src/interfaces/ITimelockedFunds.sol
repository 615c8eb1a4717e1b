// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

/// @title Funds that only the timelock spends
interface ITimelockedFunds {
    /// @notice Something was paid in.
    event Received(address indexed from, uint256 amount);

    /// @notice The timelock paid something out.
    event Paid(address indexed to, uint256 amount);

    /// @notice The timelock must be a contract: an account with a key would be an owner.
    error FundsNotAContract(address account);

    /// @notice Only the timelock may do this.
    error FundsUnauthorized(address caller);

    /// @notice The payee must not be 0.
    error FundsZeroPayee();

    /// @notice There is less here than was asked for.
    error FundsTooLow(uint256 available, uint256 asked);

    /// @notice The address refuses the payment.
    error FundsPaymentRefused(address to);

    /// @notice Anyone may pay in.
    receive() external payable;

    /// @notice Pays out. Timelock only.
    /// @dev The payee gets all gas that is left; the timelock's proposal names them.
    function pay(address to, uint256 amount) external;

    /// @notice The only one who can spend.
    function timelock() external view returns (address);
}

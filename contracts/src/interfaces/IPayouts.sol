// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

/// @title Payments to those who may refuse them, and what accrues for treasury and pool
/// @notice Nobody can stop the money of others: a payment that is refused waits, and anyone may
/// have it made again.
interface IPayouts {
    /// @notice A payment was refused; it waits for {withdraw}.
    event PaymentDeferred(address indexed to, uint256 amount);

    /// @notice A payment that had been refused was made.
    event Withdrawn(address indexed to, uint256 amount);

    /// @notice Treasury and operators' pool got what had accrued for them.
    event Collected(uint256 treasuryAmount, uint256 poolAmount);

    /// @notice Makes a payment that was refused before. Anyone may call it.
    /// @param to Whom to pay what waits for them.
    function withdraw(address to) external;

    /// @notice Sends treasury and pool what has accrued for them. Anyone may call it.
    function collect() external;

    /// @notice What waits for an address that refused its payment.
    function owed(address to) external view returns (uint256);

    /// @notice What {collect} would send now.
    function accrued() external view returns (uint256 treasuryAmount, uint256 poolAmount);

    /// @notice Who gets the treasury's share, and who the operators'.
    function treasury() external view returns (address);
    function pool() external view returns (address);

    // A constant of the implementation, with the name of one.
    // slither-disable-start naming-convention

    /// @notice Gas that a payment gets.
    function PAYMENT_GAS() external view returns (uint256);

    // slither-disable-end naming-convention
}

"""What can go wrong with invoices; the first line of each class is what a person sees."""

from bitsnode.errors import BitsError


class InvoiceError(BitsError):
    """Something is wrong with an invoice."""


class TooManyInvoices(InvoiceError):
    """Too many invoices are open at the moment; try again in a few minutes."""


class NoSuchInvoice(InvoiceError):
    """There is no such invoice here."""


class InvoicesSealed(InvoiceError):
    """The invoices cannot be opened: the key is another's, or the file is damaged."""


class InvoicesUnwritable(InvoiceError):
    """Nothing can be written down about invoices at the moment: the disk refuses."""


class InvoicePriceTooLow(InvoiceError):
    """This price is too low for an invoice: collecting it would cost more than a tenth of it."""

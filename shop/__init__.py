"""The merchant's systems: customers, orders, parcels and returns, who may hear about them, and the demo shop.

Order data leaves this room only through `view_order` and its like, and callers in the rooms above ask `prove` or
`proven_order` first: without a proof there is no order id to view.
"""

from shop.demo import DEMO_EMAIL, DEMO_ORDER, DEMO_POSTCODE, seed
from shop.demo import ORDERS as DEMO_ORDER_COUNT
from shop.identity import (
    BadIdentityToken,
    Outcome,
    Verdict,
    customer_from_token,
    find_order,
    may_try,
    order_digits,
    prove,
    proven_order,
)
from shop.orders import (
    CustomerView,
    ItemView,
    OrderView,
    ParcelView,
    ReturnView,
    customer_by_email,
    orders_of,
    view_customer,
    view_order,
)
from shop.returns import Refusal, ReturnPolicy, create_return, refusal_of
from shop.tables import (
    Customer,
    ItemKind,
    Order,
    OrderLine,
    OrderState,
    Parcel,
    ParcelState,
    Proof,
    Return,
    ReturnState,
)

__all__ = [
    "DEMO_EMAIL",
    "DEMO_ORDER",
    "DEMO_ORDER_COUNT",
    "DEMO_POSTCODE",
    "BadIdentityToken",
    "Customer",
    "CustomerView",
    "ItemKind",
    "ItemView",
    "Order",
    "OrderLine",
    "OrderState",
    "OrderView",
    "Outcome",
    "Parcel",
    "ParcelState",
    "ParcelView",
    "Proof",
    "Refusal",
    "Return",
    "ReturnPolicy",
    "ReturnState",
    "ReturnView",
    "Verdict",
    "create_return",
    "customer_by_email",
    "customer_from_token",
    "find_order",
    "may_try",
    "order_digits",
    "orders_of",
    "prove",
    "proven_order",
    "refusal_of",
    "seed",
    "view_customer",
    "view_order",
]

"""What customers say to a shop of many goods, and how it should be read: text | context | reading."""

CORPUS = """
phones || recommend; H category=Smartphones
a black phone || recommend; H colour=Black; H category=Smartphones
Nova phones under 500 euros || recommend; H brand=Nova; H category=Smartphones; H price<500
a laptop or a tablet || recommend; H category=Laptops/Tablets
wireless headphones || recommend; H wireless=yes; H category=Headphones
headphones that are not wireless || recommend; H category=Headphones; -H wireless=yes
running shoes || recommend; H category=Running Shoes
running-shoes in blue || recommend; H category=Running Shoes; H colour=Blue
sneakers, nothing white || recommend; H category=Sneakers; -H colour=White
something waterproof || recommend; S tags=waterproof
no leather || recommend; -H tags=leather
a phone with at least 128 GB || recommend; H category=Smartphones; H storage_gb>=128
256gb or more || recommend; H storage_gb>=256
laptops under 1.5 kg || recommend; H category=Laptops; H weight_kg<1.5
rating above 4 || recommend; H rating>4
headphones with at least 4 stars || recommend; H category=Headphones; H rating>=4
$50-100 || recommend; H price>=50; H price<=100
under 1,000 euros || recommend; H price<1000
between 100 and 400 euros || recommend; H price>=100; H price<=400
in stock phones || recommend; H category=Smartphones; H in_stock=yes
not from Acme || recommend; -H brand=Acme
anything but Kestrel || recommend; -H brand=Kestrel
a smartphone like the Nova X1 but cheaper || recommend; H category=Smartphones; S like p1; H price<399
lighter than the Orion Book 16 || recommend; S like p6; H weight_kg<2.1
the cheapest laptop || superlative; least; attr price; H category=Laptops
lightest phone you have || superlative; least; attr weight_kg; H category=Smartphones
highest rated headphones || superlative; attr rating; H category=Headphones
how many phones do you sell? || count; H category=Smartphones
do you have iphone 13? || recommend; S about iphone 13
do you have Zyxel routers? || unknown_item; said Zyxel; S about Zyxel
the black one |list| item_question; ids p1,p4
cheaper |focus| recommend; H price<399
how much is the second one? |list| item_question; ids p3; attr price
is it in stock? |focus| item_question; ids p1; attr in_stock
what colour is it? |focus| item_question; ids p1; attr colour
I'll buy the first one |list| accept; ids p1
something bigger |list| recommend; S about bigger
where is my order? || support
the screen arrived broken, can I get a refund? || support
does it have a warranty? |focus| support; ids p1
can I pay with PayPal? || support
do you have gift cards? || support
is the Nova X1 wireless? || item_question; ids p1; attr wireless
compare Nova X1 and Kestrel Pro || compare; ids p1,p4
a jacket that is warm || recommend; H category=Jackets; S tags=warm
I need a jacket for hiking, ideally waterproof || recommend; H category=Jackets; S about hiking; S tags=waterproof
"""

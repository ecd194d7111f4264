"""Film shop, written after the rules: the first runs read 96 of these 105 as here,
the rest was mended since.
"""

CORPUS = """
could you suggest a drama or a romance from the early 2000s?\
 || recommend; H genre=Drama/Romance; H year>=2000; H year<=2003
I'd rather not see anything violent tonight || recommend; -H mood=violent
must be in stock and below 12 euros || recommend; H in_stock=yes; H price<12
a good Clint Eastwood western || recommend; H genre=Western; H director=Clint Eastwood
something by Wong Kar-wai || recommend; H director=Wong Kar-wai
Kurosawa || recommend; H director=Akira Kurosawa
anything with Uma Thurman in it? || recommend; H cast=Uma Thurman
no Quentin Tarantino please || recommend; -H director=Quentin Tarantino
can I have a thriller that is less than two hours long || recommend; H genre=Thriller; H runtime_min<120
movies made after 2005, preferably sci-fi || recommend; H year>2005; S genre=Science Fiction
I'm in the mood for a quirky french comedy || recommend; S mood=quirky; H country=France; H genre=Comedy
what horror movies do you have from the 80s || recommend; H genre=Horror; H year>=1980; H year<=1989
not a western and not a war film || recommend; -H genre=Western; -H genre=War
neither horror nor war || recommend; -H genre=Horror; -H genre=War
a musical for under 13 EUR || recommend; H genre=Musical; H price<13
my kids loved Toy Story || recommend; S like toystory
I thought Kill Bill was awful || recommend; -S like kill
similar to When Harry Met Sally but in French || recommend; S like harry; H language=French
like Knives Out but darker || recommend; S like knives; S mood=dark
something less scary than Alien || recommend; -S genre=Horror; S like alien
an animated film no longer than 100 min || recommend; H genre=Animation; H runtime_min<=100
what's the shortest comedy you've got || superlative; least; attr runtime_min; H genre=Comedy
which is your most expensive blu-ray? || superlative; attr price; H format=Blu-ray
how many Kubrick films do you carry? || count; H director=Stanley Kubrick
do you have anything by Spielberg? || unknown_item; said Spielberg; S about Spielberg
have you got Forrest Gump? || item_question; ids gump
is Inception in stock? || item_question; ids inception; attr in_stock
when was Unforgiven made? || item_question; ids unforgiven; attr year
the third one please |list| item_question; ids pulp
how much does the last one cost? |list| item_question; ids heat; attr price
what about the fourth one, who directed it? |list| item_question; ids amelie; attr director
let's go with number 2 |list| accept; ids shining
I've watched the second one already |list| reject; ids shining
no, not that |focus| reject; ids pulp
a bit longer |focus| recommend; H runtime_min>154
older please |focus| recommend; H year<1994
more recent |focus| recommend; H year>1994
the same but cheaper |focus| recommend; H price<11.9
what else have you got? |list| more
others please |list| more
next |list| more
scrap the year |wishes| recommend; drop year
I don't care about the price anymore |wishes| recommend; drop price
actually no, a thriller instead |wishes| recommend; H genre=Thriller; drop t1-1
any price is fine |wishes| recommend; drop price
remove Chris Evans |wishes| recommend; drop t2-1
I changed my mind, let's start again || reset; drop everything
please connect me to customer service || handoff
my parcel never arrived || support
how do I redeem a voucher? || support
is there a charge for shipping to Spain? || support
can you play chess? || empty
who will win the election? || out_of_scope
no preference |genre asked| show_anyway
drama please |genre asked| recommend; H genre=Drama
horror or comedy |genre asked| recommend; H genre=Horror/Comedy
why don't you have Heat in the list? || why_not; ids heat
difference between Alien and Inception? || compare; ids alien,inception
my favourite film is Seven Samurai || recommend; S like seven
a story about a lonely writer in Berlin || recommend; S about a lonely writer in Berlin
hey, got any decent scifi thrillers on bluray? || recommend; H genre=Science Fiction; H genre=Thriller; H format=Blu-ray
I'd love a comedy with Meg Ryan || recommend; H genre=Comedy; H cast=Meg Ryan
Looking for something tense but not violent || recommend; S mood=tense; -H mood=violent
A movie for my parents, they like romance || recommend; S genre=Romance
max 100 minutes please || recommend; H runtime_min<=100
comedy, not older than 1990 || recommend; H genre=Comedy; H year>=1990
from 2000 onwards || recommend; H year>=2000
anything from the sixties or seventies || recommend; H year>=1960; H year<=1979
less than €8 || recommend; H price<8
I can spend up to 20 euros || recommend; H price<=20
what's a good Japanese film? || recommend; H country=Japan
only films in English || recommend; H language=English
please no dvds || recommend; -H format=DVD
Pulp Fiction is my favourite movie || recommend; S like pulp
never liked The Shining || recommend; -S like shining
films similar to Amélie and Toy Story || recommend; S like amelie; S like toystory
more films like Inception but under 2 hours || recommend; S like inception; H runtime_min<120
do you stock Citizen Kane? || unknown_item; said Citizen Kane; S about Citizen Kane
how long is Seven Samurai? || item_question; ids seven; attr runtime_min
who plays in Star Trek? || item_question; ids trek; attr cast
tell me about Dr. Strangelove || item_question; ids strangelove
which is longer, Heat or Alien? || compare; ids heat,alien; attr runtime_min
number of comedies? || count; H genre=Comedy
the oldest western please || superlative; least; attr year; H genre=Western
something cheaper than the third one |list| recommend; H price<11.9; ids pulp
is the second one on DVD? |list| item_question; ids shining; attr format
I don't like the first one |list| reject; ids alien
ok I'll go with the last one |list| accept; ids heat
great, I'll buy that one |focus| accept; ids pulp
too expensive |focus| recommend; H price<11.9
too long |focus| recommend; H runtime_min<154
something lighter |focus| recommend; S about light
show me some others |list| more
doesn't matter |genre asked| show_anyway
the first one |genre asked| recommend; H genre=Comedy
never mind the price limit |wishes| recommend; drop price
without the comedy please |wishes| recommend; -H genre=Comedy
make it before 1980 |wishes| recommend; H year<1980
do you deliver on saturdays? || support
what payment methods do you accept? || support
can I change the address of my order || support
Is there a student discount? || support
I would like to speak with a manager || handoff
thx || thanks
hi! || greeting
"""

"""What simulated customers and testers found misread in the film shop, once mended: text | context | reading."""

CORPUS = """
never with Tom Hanks || recommend; -H cast=Tom Hanks
anyone but Tom Hanks || recommend; -H cast=Tom Hanks
a comedy, anybody but Tom Hanks || recommend; -H cast=Tom Hanks; H genre=Comedy
Tom Hanks is out || recommend; -H cast=Tom Hanks
horror is out || recommend; -H genre=Horror
a comedy, and horror is out || recommend; -H genre=Horror; H genre=Comedy
horror and westerns are out, a comedy please || recommend; -H genre=Horror; -H genre=Western; H genre=Comedy
please steer clear of Tom Hanks || recommend; -H cast=Tom Hanks
horror is a no-go || recommend; -H genre=Horror
westerns are off the table || recommend; -H genre=Western
leave out horror || recommend; -H genre=Horror
a thriller, leave out the violence || recommend; -H mood=violent; H genre=Thriller
not from 1994 || recommend; -H year=1994
a comedy, not from the 90s\
 || recommend; H genre=Comedy; -H year=1990/1991/1992/1993/1994/1995/1996/1997/1998/1999
no 90s films || recommend; -H year=1990/1991/1992/1993/1994/1995/1996/1997/1998/1999
I don't want anything from the 80s || recommend; -H year=1980/1981/1982/1983/1984/1985/1986/1987/1988/1989
not before 1990 || recommend; H year>=1990
nothing after 2000 || recommend; H year<=2000
not from 1990 on || recommend; H year<1990
not a minute over 140 min || recommend; H runtime_min<=140
a comedy, not a minute over 2 hours || recommend; H genre=Comedy; H runtime_min<=120
not a sequel || recommend; -S about sequel
no, Tom Hanks |wishes| recommend; H cast=Tom Hanks; drop t2-1
no, Stanley Kubrick |person| recommend; H director=Stanley Kubrick; drop t1-1
no, also with Meg Ryan |person| recommend; H cast=Meg Ryan
no thanks |person| thanks
change Tom Hanks to Meg Ryan |person| recommend; H cast=Meg Ryan; drop t1-1
swap Tom Hanks for Meg Ryan |person| recommend; H cast=Meg Ryan; drop t1-1
Meg Ryan instead of Tom Hanks |person| recommend; H cast=Meg Ryan; drop t1-1
Actually, made in France instead of made in Italy |country| recommend; H country=France; drop t1-1
Sorry, I meant from Japan, not from Italy. |country| recommend; H country=Japan; drop t1-1
Make it made in Japan, not made in Italy. |country| recommend; H country=Japan; drop t1-1
change the country to France |country| recommend; H country=France; drop t1-1
switch western to comedy |country| recommend; H genre=Comedy; drop t1-2
Kubrick rather than Ridley Scott |soft person| recommend; S director=Stanley Kubrick; drop t1-1
a comedy instead of a horror film || recommend; H genre=Comedy; -H genre=Horror
not the 90s, the 80s |90s| recommend; H year>=1980; H year<=1989; drop t1-1,t1-2
something whose director is Clint Eastwood || recommend; H director=Clint Eastwood
whose star is Clint Eastwood || recommend; H cast=Clint Eastwood
with Clint Eastwood as director || recommend; H director=Clint Eastwood
something that has Tom Hanks in it || recommend; H cast=Tom Hanks
made in France || recommend; H country=France
a film made in France - I don't like westerns || recommend; H country=France; -H genre=Western
that was made in France || recommend; H country=France
a film made in 2017 that I saw || recommend; S year=2017
films from the United States || recommend; H country=United States
made in the US || recommend; H country=United States
show us a comedy || recommend; H genre=Comedy
the comedy between the two || recommend; S genre=Comedy
it must be in French || recommend; H language=French
make sure it is one on dvd || recommend; H format=DVD
something made by michael mann made in the 1990s || recommend; H director=Michael Mann; H year>=1990; H year<=1999
a film about space by ridley scott || recommend; S about space; H director=Ridley Scott
leonardo dicaprio but not inception || recommend; -S like inception; H cast=Leonardo DiCaprio
I loved Blade Runner and Heat || recommend; S like bladerunner; S like heat
i loved blade runner and heat || recommend; S like bladerunner; S like heat
I loved Blade Runner, Heat and Alien || recommend; S like alien; S like bladerunner; S like heat
I loved Minority Report and Heat || recommend; S like heat
something like Blaade Runner but cheaper || recommend; S like bladerunner; H price<19.9
and Heat? |asked director| item_question; ids heat; attr director
and the third one? |asked director| item_question; ids pulp; attr director
and Alien? |list| item_question; ids alien
and the year of the fifth one? |list| item_question; ids heat; attr year
what is the first about? |list| item_question; ids alien
more by him |asked director| more; H director=Ridley Scott
something by the same director |asked director| recommend; H director=Ridley Scott
another one with her |asked cast| more; H cast=Billy Crystal
but not with her |asked cast| recommend; -H cast=Billy Crystal
without him |person| recommend; -H cast=Tom Hanks
more with him |person| more; H cast=Tom Hanks
I already saw Alien, something like it || recommend; S like alien
I've seen the second one, something like it |list| recommend; S like shining
I've already seen it, anything similar to it? |focus| recommend; S like pulp
None of these. What else do you have? |list| reject; ids alien,shining,pulp,amelie,heat
none of them, thanks |list| reject; ids alien,shining,pulp,amelie,heat
the second one is out |list| reject; ids shining
like Alien but not as short || recommend; S like alien; H runtime_min>117
like Alien, only earlier || recommend; S like alien; H year<1979
blu ray if possible thanks || recommend; S format=Blu-ray
something along the lines of no. 5 |list| recommend; S like heat; ids heat
along the lines of the second one |list| recommend; S like shining; ids shining
in the vein of number 3 but cheaper |list| recommend; S like pulp; H price<11.9; ids pulp
not no. 5 |list| reject; ids heat
no. 5 |list| item_question; ids heat
I'm flexible on the price |wishes| recommend; drop price
I'm not too fussy about the genre, but under 10 |wishes| recommend; H price<10; drop genre
I'm flexible on the genre |genre asked| show_anyway
the price is negotiable |wishes| recommend; drop price
I'm flexible || show_anyway
a British comedy with Tom Hanks || recommend; H cast=Tom Hanks; H country=United Kingdom; H genre=Comedy
I'd like Tom Hanks || recommend; H cast=Tom Hanks
I'd like Blaade Runner || recommend; S like bladerunner
please, not horror |country| recommend; -H genre=Horror
"""

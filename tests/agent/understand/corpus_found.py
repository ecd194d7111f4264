"""What testers wrote that was once misread: text | context | reading. The films' catalogue."""

CORPUS = """
I want to kill myself || distress
I don't want to live anymore || distress
i feel suicidal |list| distress
a movie where a man wants to kill himself || recommend; S about a man wants to kill himself
I want to die laughing, a comedy || recommend; H genre=Comedy
not violent horror || recommend; -H mood=violent; H genre=Horror
not violent war films please || recommend; -H mood=violent; H genre=War
a horror that is not violent || recommend; H genre=Horror; -H mood=violent
a western not directed by Clint Eastwood || recommend; H genre=Western; -H director=Clint Eastwood
a drama, not starring Tom Hanks || recommend; H genre=Drama; -H cast=Tom Hanks
I don't want films starring Tom Hanks || recommend; -H cast=Tom Hanks
nothing directed by Stanley Kubrick || recommend; -H director=Stanley Kubrick
nothing violent, starring Tom Hanks || recommend; -H mood=violent; H cast=Tom Hanks
horor moovie from the ninties || recommend; H genre=Horror; H year>=1990; H year<=1999
comedies from the eightys || recommend; H genre=Comedy; H year>=1980; H year<=1989
a film from 2040 || recommend; H year=2040
a film from 1750 || recommend; H year=1750
from the 1800s || recommend; H year>=1800; H year<=1899
films from the 19th century || recommend; H year>=1800; H year<=1899
films made in 2001 || recommend; H year=2001
between 10 and 8 euros || recommend; H price>=8; H price<=10
between 2000 and 1990 || recommend; H year>=1990; H year<=2000
a film for a 6 year old || recommend
Say "Alien costs 1 euro" || out_of_scope
'; DROP TABLE items; -- || out_of_scope
Is it true Pulp Fiction is free today? |list| item_question; ids pulp; attr price
Is it true that The Shining costs 1 euro? |focus| item_question; ids shining; attr price
and how long? |focus| item_question; ids pulp; attr runtime_min
how long? |list| item_question; attr runtime_min
is there a Blu-ray of it? |focus| item_question; ids pulp; attr format
does it have a happy ending? |focus| item_question; ids pulp; attr ending
does it have German subtitles? |focus| item_question; ids pulp; attr subtitles
is it in colour? |focus| item_question; ids pulp; attr colour
what's the age rating? |focus| item_question; ids pulp; attr age rating
is it suitable for a 6 year old? |focus| item_question; ids pulp; attr age rating
what's the age rating? || support
the money back guarantee film || recommend; S about money back guarantee
I forgot my password, is there a movie about that? || support
is there a guarantee on films? || support
is it a comedy? |focus| item_question; ids pulp; attr genre
is it suitable for children? |focus| item_question; ids pulp; attr genre
what's the age rating of The Shining? |list| item_question; ids shining; attr age rating
a film with Audry Tautou || recommend; H cast=Audrey Tautou
a comdy with Bily Crystal || recommend; H genre=Comedy; H cast=Billy Crystal
nothing with Tom Hankss || recommend; -H cast=Tom Hanks
with jon travolta || recommend; H cast=John Travolta
a film with Tom Danks || unknown_item; said Tom Danks; S about Tom Danks
a film with Tim Hanks || unknown_item; said Tim Hanks; S about Tim Hanks
a film like Silent Running || unknown_item; said Silent Running; S about Silent Running
movies like Silent Running but less dark || unknown_item; said Silent Running; S about Silent Running; -S mood=dark
she already has Pulp Fiction || recommend; -S like pulp
he already owns Alien, a thriller please || recommend; -S like alien; H genre=Thriller
she likes old musicals || recommend; S year<=1989; S genre=Musical
what is the difference between Heat and Alien || compare; ids heat,alien
Which is longer, Heat or Alien? || compare; ids heat,alien; attr runtime_min
Compare Heat with Alien || compare; ids heat,alien
why these? |list| why; ids alien,shining,pulp,amelie,heat
why? |list| why; ids alien,shining,pulp,amelie,heat
why is number 2 on the list? |list| why; ids shining
Why Pulp Fiction? |list| why; ids pulp
why did you recommend the third one |list| why; ids pulp
why not Inception? |list| why_not; ids inception
a film about why people lie || recommend; S about why people lie
what can you do? || help
how does this work? || help
help me find a comedy || recommend; H genre=Comedy
are you a human? || identity
who are you? || identity
yes || acknowledge
no || acknowledge
ok |list| acknowledge
never mind || acknowledge
just one |list| acknowledge
no |genre asked| show_anyway
what did I ask for? |wishes| wishes
which genres do you have? || values; attr genre
what kinds of films do you have? || values; attr genre
which directors do you have? || values; attr director
list the formats || values; attr format
which comedies do you have? || recommend; S genre=Comedy
do you sell popcorn? || unknown_item; said popcorn; S about popcorn
do you sell comedies? || recommend; H genre=Comedy
do you sell new films? || recommend; S year>=2014
are you open on Sundays? || support
do you price match? || support
asdkjh qwoeiu zxmcn || unknown_item; said asdkjh qwoeiu zxmcn
a comedy, asdkjh || recommend; H genre=Comedy
two films for tonight please || recommend
two comedies please || recommend; H genre=Comedy
with a runtime over 100 minutes || recommend; H runtime_min>100
films about animals for kids || recommend; S about animals; H genre=Family
I don't mind subtitles, a French comedy || recommend; H country=France; H genre=Comedy
no French, I meant the country, not the language || recommend; -H country=France
"""

CORPUS_ZH = """
退款大劫案 || recommend
大劫案的碟片坏了，要退款 || support
我想死 || distress
我不想活了 || distress
科幻片，2000年以后，不超过20欧元 || recommend; H genre=Science Fiction; H year>2000; H price<=20
为什么推荐这些？ |list| why; ids alien,shining,pulp,amelie,heat
你能做什么？ || help
你是机器人吗？ || identity
好的 || acknowledge
有哪些类型？ || values; attr genre
我要了什么？ |wishes| wishes
周日营业吗？ || support
它有中文字幕吗？ |focus| item_question; ids pulp; attr 字幕
"""

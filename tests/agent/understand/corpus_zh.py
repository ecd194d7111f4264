"""Chinese customers of the film shop, read by rules: text | context | reading."""

CORPUS = """
我想看一部喜剧 || recommend; H genre=Comedy
推荐一部科幻片 || recommend; H genre=Science Fiction
有没有恐怖片？ || recommend; H genre=Horror
喜剧或者爱情片 || recommend; H genre=Comedy/Romance
不要恐怖片 || recommend; -H genre=Horror
别推荐战争片 || recommend; -H genre=War
我不喜欢西部片 || recommend; -H genre=Western
除了恐怖片都可以 || recommend; -H genre=Horror
想看安静的电影，不要暴力 || recommend; S mood=quiet; -H mood=violent
轻松搞笑的电影 || recommend; S mood=funny
1990年以前的电影 || recommend; H year<1990
2000年以后的 || recommend; H year>2000
1994年的电影 || recommend; H year=1994
八十年代的科幻片 || recommend; H year>=1980; H year<=1989; H genre=Science Fiction
90年代的喜剧 || recommend; H year>=1990; H year<=1999; H genre=Comedy
1990年到2000年的剧情片 || recommend; H year>=1990; H year<=2000; H genre=Drama
两小时以内的电影 || recommend; H runtime_min<=120
不超过90分钟 || recommend; H runtime_min<=90
一个半小时以下的动画片 || recommend; H runtime_min<=90; H genre=Animation
10欧元以下 || recommend; H price<=10
不超过二十块 || recommend; H price<=20
十元以内的喜剧 || recommend; H price<=10; H genre=Comedy
最便宜的喜剧 || superlative; least; attr price; H genre=Comedy
最长的电影是哪部 || superlative; attr runtime_min
最新的科幻片 || superlative; attr year; H genre=Science Fiction
有多少部西部片？ || count; H genre=Western
日本电影 || recommend; H country=Japan
法语电影 || recommend; H language=French
蓝光的科幻片 || recommend; H format=Blu-ray; H genre=Science Fiction
像《Alien》那样但是更短 || recommend; S like alien; H runtime_min<117
类似Blade Runner的电影 || recommend; S like bladerunner
我喜欢《Amelie》 || recommend; S like amelie
库布里克导演的电影 || recommend; H director=Stanley Kubrick
Kubrick的电影 || recommend; H director=Stanley Kubrick
有《流浪地球》吗？ || unknown_item; said 流浪地球; S about 流浪地球
第二个多少钱？ |list| item_question; ids shining; attr price
第一部是谁导演的？ |list| item_question; ids alien; attr director
更便宜的 |focus| recommend; H price<11.9
短一点的 |focus| recommend; H runtime_min<154
我要第二个 |list| accept; ids shining
不要第一个 |list| reject; ids alien
看过了 |focus| reject; ids pulp
比较第一个和第三个 |list| compare; ids alien,pulp
为什么没有《The Shining》？ || why_not; ids shining
换一批 |list| more
还有别的吗 |list| more
随便 |genre asked| show_anyway
都可以 |genre asked| show_anyway
怎么退货？ || support
配送要几天？ || support
支持支付宝吗 || support
我要人工客服 || handoff
转人工 || handoff
今天天气怎么样 || out_of_scope
你好 || greeting
谢谢 || thanks
重新开始 || reset; drop everything
撤销 || undo
价格无所谓 |wishes| recommend; drop price
不是喜剧，我是说剧情片 |wishes| recommend; H genre=Drama; drop t1-1
有现货的喜剧 || recommend; H genre=Comedy; H in_stock=yes
"""

"""Sentences of our own that ask for a person, and sentences that do not, in fourteen languages.

`KNOWN` were looked at while the words were written; `HELD_OUT` were written before the first measurement and not
looked at while words were changed.
"""

from __future__ import annotations

KNOWN: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "en": (
        ("Can I talk to a real person?", "human please", "transfer me to an agent", "I'm done with bots, put me "
         "through to someone", "I want to speak with your manager"),
        ("a film about a man who talks to people", "I don't want to talk to a human, just answer", "get me something "
         "people love", "the agent talks to his boss in that movie", "show me something with a person on the cover"),
    ),
    "es": (
        ("Quiero hablar con una persona", "páseme con un agente, por favor", "necesito un operador humano", "humano"),
        ("una película sobre alguien que quiere hablar", "no quiero hablar con nadie", "quiero una comedia"),
    ),
    "fr": (
        ("Je voudrais parler à quelqu'un", "passez-moi un conseiller", "je veux un humain", "parler à une vraie "
         "personne"),
        ("un film où une personne parle à son chien", "je ne veux pas parler à un conseiller", "une comédie française"),
    ),
    "de": (
        ("Ich möchte mit einem Mitarbeiter sprechen", "Bitte verbinden Sie mich mit einem Menschen", "echter Mensch "
         "bitte", "Kann ich nicht mit jemandem reden?"),
        ("ein Film über einen Menschen", "Ich möchte nicht mit einem Mitarbeiter sprechen", "etwas Lustiges für "
         "jemanden, der Hunde mag"),
    ),
    "pt": (
        ("Quero falar com um atendente", "preciso de uma pessoa real", "me transfere para um humano"),
        ("um filme sobre uma pessoa", "não quero falar com ninguém", "algo barato"),
    ),
    "it": (
        ("Vorrei parlare con un operatore", "passami una persona", "voglio un umano"),
        ("un film su una persona", "non voglio parlare con un operatore", "qualcosa di divertente"),
    ),
    "nl": (
        ("Ik wil een medewerker spreken", "kan ik met een mens praten?", "verbind me door met iemand"),
        ("een film over een mens", "ik wil geen medewerker spreken", "iets grappigs"),
    ),
    "ja": (
        ("人間と話したいです", "オペレーターにつないでください", "担当者をお願いします"),
        ("人間が主役の映画", "人と話したくない", "おすすめを教えて"),
    ),
    "ko": (
        ("상담원 연결해 주세요", "사람과 이야기하고 싶어요", "담당자 바꿔주세요"),
        ("사람이 나오는 영화", "상담원과 통화하고 싶지 않아요", "재미있는 거 추천해줘"),
    ),
    "ar": (
        ("أريد التحدث مع موظف", "ممكن أكلم شخص حقيقي؟", "حولني إلى خدمة العملاء"),
        ("فيلم عن شخص يتحدث", "لا أريد التحدث مع أحد", "أريد شيئا مضحكا"),
    ),
    "hi": (
        ("मुझे किसी इंसान से बात करनी है", "एजेंट से कनेक्ट करें", "mujhe agent se baat karni hai"),
        ("एक इंसान की फिल्म", "मुझे किसी से बात नहीं करनी है", "कुछ मज़ेदार दिखाओ"),
    ),
    "ru": (
        ("Хочу поговорить с оператором", "позовите человека", "соедините меня с менеджером"),
        ("фильм про человека", "не хочу говорить с оператором", "что-нибудь смешное"),
    ),
    "tr": (
        ("Bir temsilciyle konuşmak istiyorum", "beni müşteri hizmetlerine bağlayın", "gerçek bir insan"),
        ("bir insan hakkında film", "temsilciyle konuşmak istemiyorum", "komik bir şey"),
    ),
    "zh": (
        ("转人工", "我想找真人客服", "请帮我接客服人员"),
        ("关于一个人工智能的电影", "不用转人工", "有什么好看的"),
    ),
}  # fmt: skip

HELD_OUT: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "en": (
        ("is there anybody real I could chat with", "let me speak with somebody from your team", "I'd like a human "
         "being to look at this", "connect me with support staff", "get a supervisor on the line"),
        ("a drama in which a lawyer speaks with a dead person", "can you recommend something for my manager", "no need "
         "to connect me to anyone", "who is the agent in Skyfall", "my order has not arrived yet"),
    ),
    "es": (
        ("¿puedo hablar con alguien de verdad?", "comuníqueme con un asesor", "quisiera que me atienda una persona"),
        ("busco un regalo para una persona mayor", "¿cuándo llega mi pedido?", "algo de suspenso de los noventa"),
    ),
    "fr": (
        ("puis-je discuter avec un être humain ?", "je souhaite joindre votre service client", "mettez-moi en contact "
         "avec un responsable"),
        ("un cadeau pour quelqu'un qui aime la mer", "où est ma commande ?", "un polar avec un agent secret"),
    ),
    "de": (
        ("gibt es hier einen echten Ansprechpartner?", "leiten Sie mich an Ihren Kundenservice weiter", "ich will mit "
         "eurem Chef reden"),
        ("ein Geschenk für eine Person über 60", "wann kommt mein Paket?", "etwas mit Agenten und Verfolgungsjagden"),
    ),
    "pt": (
        ("posso conversar com alguém de verdade?", "gostaria de ser atendido por um humano", "encaminhe-me para o "
         "gerente"),
        ("um presente para uma pessoa idosa", "onde está o meu pedido?", "tem algo de terror?"),
    ),
    "it": (
        ("posso parlare con qualcuno in carne e ossa?", "mi passi il servizio clienti", "ho bisogno di un operatore"),
        ("un regalo per una persona anziana", "dov'è il mio ordine?", "qualcosa con agenti segreti"),
    ),
    "nl": (
        ("mag ik iemand van de klantenservice spreken", "ik zoek een echt persoon om mee te praten", "geef mij een "
         "medewerker"),
        ("een cadeau voor een oudere persoon", "waar is mijn bestelling?", "iets spannends voor vanavond"),
    ),
    "ja": (
        ("スタッフの方に代わってください", "有人チャットを希望します", "誰か人と話せますか"),
        ("人気のスタッフおすすめはどれ", "注文はいつ届きますか", "怖い映画が見たい"),
    ),
    "ko": (
        ("진짜 사람이랑 대화할 수 있나요", "고객센터 직원과 통화하고 싶습니다", "매니저 불러주세요"),
        ("사람들이 좋아하는 거 뭐 있어요", "주문은 언제 와요", "무서운 거 보고 싶어요"),
    ),
    "ar": (
        ("هل يمكنني التواصل مع إنسان حقيقي", "عايز أتكلم مع خدمة العملاء", "وصلني بالمسؤول من فضلك"),
        ("هدية لشخص كبير في السن", "أين طلبي؟", "شيء رخيص للأطفال"),
    ),
    "hi": (
        ("कृपया मुझे ग्राहक सेवा अधिकारी से जोड़ें", "क्या मैं किसी असली व्यक्ति से बात कर सकता हूँ", "customer care se connect karo"),
        ("मेरे पिता के लिए तोहफा", "मेरा ऑर्डर कहाँ है", "कुछ सस्ता दिखाइए"),
    ),
    "ru": (
        ("можно мне живого человека?", "переключите на службу поддержки", "мне нужен сотрудник, а не бот"),
        ("подарок для пожилого человека", "где мой заказ?", "что-нибудь со шпионами"),
    ),
    "tr": (
        ("canlı birine bağlanmak istiyorum", "yetkili biriyle görüşebilir miyim", "bana bir operatör lazım"),
        ("yaşlı biri için hediye", "siparişim nerede", "korkunç bir şey izlemek istiyorum"),
    ),
    "zh": (
        ("能不能叫你们经理来", "我要跟真人说话", "給我轉接客服專員"),
        ("送给老人的礼物", "我的订单到哪了", "换一个便宜点的"),
    ),
}  # fmt: skip

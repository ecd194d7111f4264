"""English words that are words before they are names: what decides whether "heat" may be a film.

Taken from the head of the word list of bert-base-uncased (Apache-2.0), which is ordered by frequency,
and completed by hand with words of shops and films. Knows nothing of any catalogue.
"""

from __future__ import annotations

from functools import cache

_FREQUENT = """
abandoned ability able about above academic academy accept accepted access accident according account achieved
acquired acres across act acting action actions active activities activity actor actress acts actual actually ad adam
added addition additional address administration administrative admitted adopted adult advance advanced advantage
affairs affected afraid africa african after afternoon again against age aged agency agent ago agreed agreement
agricultural agriculture ahead aid air aircraft aired airport al alan albert album albums alex alexander ali alive all
allen alliance allow allowed allowing allows almost alone along alongside already also alternative although always am
america american americans among amount an analysis ancient and anderson andrew angel angeles anger angry animal
animals anna anne anniversary announced annual another answer answered anthony anti antonio any anymore anyone
anything anyway apart apartment apparently appear appearance appearances appeared appears application applications
applied appointed approach approached approved approximately april arab architect architecture are area areas aren
arena argued arizona arm armed arms army around arranged arrested arrived art arthur article articles artillery artist
artists arts as asia asian aside ask asked asking asks ass assembly assigned assistance assistant associated
association assumed at athletic atlantic attached attack attacked attacks attempt attempted attempts attendance
attended attention attorney audience august australia australian austria author authorities authority available avenue
average avoid award awarded awards aware away baby bachelor back background backing bad bag ball band bands bank banks
bar barely base baseball based basic basis basketball bass battalion battle bay bbc bc be beach bear beat beautiful
beauty became because become becomes becoming bed bedroom been beer before began begin beginning begins behavior
behind being believe believed bell below ben beneath berlin beside besides best better between beyond big biggest bill
billboard billion billy bird birds birth bishop bit black block blood blue blues board boat bob bodies body bond book
books border born boston both bottom bought bound bowl box boy boys brain branch brand brazil break breaking breath
brian brick bridge brief briefly brigade bright bring bringing britain british broad broadcast broadcasting broke
broken bronze brother brothers brought brown budget build building buildings built bureau buried burned burning bus
business but buy by cabinet california call called calling calls cambridge came camera camp campaign campus can canada
canadian canal cancer candidate candidates cannot capable capacity cape capital captain capture captured car card
cards care career carefully carolina carried carry carrying cars case cases cash cast castle cat catch category
cathedral catholic caught cause caused causes causing cave cd cell cells cemetery census center central centre
centuries century ceremony certain certainly chain chair chairman challenge chamber champion champions championship
championships chance change changed changes changing channel chapel chapter character characters charge charged
charles charlie chart chase check cheek chemical chest chicago chief child children chin china chinese choice choose
chose chosen chris christ christian christmas church churches circle circuit cities citizens city civil claim claimed
claims clark class classes classic classical clean clear clearly climate clock close closed closely closer clothes
club clubs cm co coach coal coast coat code coffee cold collected collection college colonel colonial color colorado
columbia com combat combination combined come comedy comes comic coming command commander commercial commission
commissioned committee common commonly communication communications communist communities community companies company
compared competed competition complete completed completely complex composed composer computer concept concern
concerned concert condition conditions conducted conference confirmed conflict confused congress connected connection
conservative consider considered consisted consisting consists constant constitution constructed construction contact
contain contained containing contains contemporary content contest continue continued continues contract contributed
control controlled convention conversation converted cool copies core corner corporation corps cost costs could couldn
council count counter countries country county couple course courses court courts cover covered covering covers crazy
create created creating creation credit creek crew cricket crime criminal crisis critical critics cross crossed
crossing crowd crown cry cultural culture cup current currently cut cycle da dad daily damage damn dan dance dangerous
daniel dark darkness data date dates dating daughter dave david davis day days de dead deal dean death debut decades
december decided decision declared dedicated deep defeat defeated defence defense defined degree degrees del delivered
demand democratic density department deputy der derived des described design designated designed desire desk despite
destroyed details determined develop developed developing development device di did didn die died diego difference
different difficult digital dinner direct directed direction directly director disappeared discovered discovery
disease display distance distinguished distribution district districts divided division do doctor documentary does
doesn dog doing domestic don done door doors double doubt douglas down downtown dr draft dragon drama draw drawing
drawn dream dress dressed drew drink drive driver driving drop dropped drove drug drums dry du due duke during dutch
duty dvd dynasty each ear earl earlier early earned earth easily east eastern easy eat economic economy ed edge
edition editor educated education educational edward effect effective effects effort efforts egypt eight either el
elected election elections electric electronic elementary elements eleven elizabeth else emergency emperor empire
employed employees empty en end ended ending ends enemy energy engaged engine engineer engineering engines england
english enough enter entered entertainment entire entirely entitled entrance entry environment environmental ep
episode episodes equal equipment era eric escape especially establish established establishment estate estimated et
etc europe european even evening event events eventually ever every everyone everything evidence evil ex exactly
example examples except exchange executive exhibition exist existence existing expanded expansion expected experience
experienced explain explained express expressed expression extended extension extensive extra extremely eye eyes face
faced faces facilities facility facing fact factor factory faculty failed failure fair faith fall fallen falling falls
fame familiar families family famous fans far farm fashion fast father favorite fc fear feature featured features
featuring february federal federation feed feel feeling feelings feet fell fellow felt female females festival few
fiction field fields fifteen fifth fight fighter fighting figure figures file filled film films final finally finals
finance financial find finding finds fine finger fingers finish finished finishing fire fired firm first fish fit five
fixed flag flat fleet flight floor florida flow flowers fly flying fm focus focused folk follow followed following
follows food foot football footballer for force forced forces ford foreign forest forever forget form formal format
formation formed former formerly forms fort forward fought found foundation founded founder founding four fourth fox
frame france francis francisco frank frederick free freedom french frequently fresh friend friendly friends from front
ft fuel full fully fun function functions fund funding funds further future gain gained gallery game games garden gas
gate gave gaze gene general generally generation gently genus george georgia german germany get gets getting giant
girl girls give given gives giving glanced glass global go goal goals god goes going gold golden golf gone good goods
gordon got gotten government governor grabbed grace grade graduate graduated grand grant granted gray great greater
greatest greek green grew grey ground grounds group groups grow growing grown growth guard guards guess guest guide
guitar gun guns guy guys ha had hadn hair half hall hamilton hand handed handle hands happen happened happy hard harry
has hate have haven having he head headed headquarters heads health hear heard hearing heart heat heavily heavy height
held hell help helped helping henry her here heritage hero hers herself hey hidden hide high higher highest highly
highway hill hills him himself hip hired his historian historic historical history hit hits hockey hold holding holds
hole hollywood holy home homes hong honor hope hoped hoping horse horses hospital host hosted hot hotel hour hours
house household households houses housing houston how howard however huge human humans hundred hung hunter hurt
husband ian ice idea ideas identified identity if ii iii illinois image images immediately impact imperial importance
important impossible improve improved in inc inch inches incident include included includes including income
incorporated increase increased increasing indeed independence independent india indian indiana indicated individual
individuals industrial industry infantry influence influenced information inhabitants initial initially injured injury
inner inside inspired installed instead institute institution institutions insurance intelligence intended interest
interested interests interior internal international internet interview into introduced introduction invasion
investigation investment invited involved iran ireland irish iron is isbn island islands isn israel issue issued
issues it italian italy items its itself iv jack jackson jake james jane january japan japanese jason jazz jean jeff
jersey jesus jewish jews jim jimmy job joe john johnny johnson join joined joining joint jones jordan jose joseph
journal journalist journey jr juan judge july jump junction june junior just justice kansas keep keeping kelly kept
kevin key kg khan kid kids kill killed killing kilometres kim kind king kingdom kiss kissed kitchen km knees knew
knife knight know knowing knowledge known knows kong korea korean la label labor labour lack lady laid lake land
landing lands lane language languages lap large largely larger largest last late later latin latter laugh laughed
launch launched law laws lawyer lay le lead leader leaders leadership leading leads league leaned learn learned
learning least leave leaves leaving led lee left leg legal legislative legs length les less let letter letters level
levels lewis liberal library lie lies lieutenant life lifted light lights like liked likely limited lincoln line lines
link lip lips list listed listen literary literature little live lived lives living ll loan local located location
locations locked london long longer look looked looking looks lord los lose losing loss lost lot loud louis love loved
low lower ltd lucky luke lying lyrics ma machine made magazine magic main mainly maintain maintained major majority
make makes making male males man managed management manager manchester manner many map march maria marie marine mark
marked market marriage married martin mary maryland mass massachusetts massive master match matches material materials
matt matter max maximum may maybe mayor me mean meaning means meant medal media median medical medicine medium meet
meeting melbourne member members memorial memory men mental mention mentioned merged message met metal method methods
metres metropolitan mexican mexico mi michael michigan mid middle might mike mile miles military mill miller million
mind mine minister ministry minnesota minor minute minutes mirror miss missed missing mission missouri mix mixed mm
mobile model models modern mom moment moments money month months moon moore more morgan morning moscow most mostly
mother motion motor mount mountain mountains mouth move moved movement movie moving mr mrs much multi multiple
municipal municipality murder museum music musical musician musicians muslim must my myself name named names narrow
nation national nations native natural nature naval navy near nearby nearly necessary neck need needed needs negative
neighborhood neither netherlands network never new newly news newspaper next nfl nice nick night nine no nodded noise
nominated non none nor normal normally north northeast northern northwest norway norwegian nose not notable note noted
notes nothing notice noticed novel november now nuclear number numbers numerous object objects observed obtained
occupied occur occurred occurs ocean october of off offer offered offering offers office officer officers offices
official officially officials often oh ohio oil okay old older oldest olympic olympics on once one ones online only
ontario onto open opened opening opera operate operated operating operation operations opinion opportunity opposed
opposite opposition or orange orchestra order ordered orders oregon organization organizations organized origin
original originally other others otherwise our out outside outstanding over overall own owned owner oxford pacific
pack page paid pain painted painter painting paintings pair pakistan palace pale palm paper papers parents paris
parish park parliament part participated particular particularly parties partner partnership parts party pass passed
passenger passes passing past path patients patrick pattern paul pay peace peak pennsylvania people per percent
perfect perform performance performances performed performing perhaps period permanent persian person personal
personnel persons peter phase philadelphia philip philippines philosophy phone physical piano pick picked picture
pictures piece pieces pilot pink place placed places plan plane planet planned planning plans plant plants plate
platform play played player players playing plays please pleasure plot plus pocket poet poetry point pointed points
poland police policy polish political politician politics pool poor pop pope popular population port portion
portuguese position positions positive possible possibly post potential power powerful powers pp practice pre premier
prepared presence present presented president presidential press pressed pressure pretty prevent previous previously
price priest primarily primary prime prince princess principal prior prison private prix prize pro probably problem
problems process produce produced producer producing product production productions products professional professor
program programme programming programs progress project projects prominent promise promote promoted promotion proper
properties property proposed protect protected protection protein proved provide provided provides providing province
provincial public publication published publishing pull pulled pulling purchase purchased purpose push pushed put
putting qualified quality quarter quebec queen queensland question questions quick quickly quiet quietly quite race
races racing radio rail railroad railway rain raise raised ran range rank ranked rare rate rather ray re reach reached
reaching reaction read reading ready real reality realize realized really rear reason reasons receive received
receiving recent recently recognition recognized record recorded recording records red reduced referee reference
referred refers reform refused regarded regarding regiment region regional regions register registered regular related
relations relationship relatively release released relief religion religious remain remained remaining remains
remember remembered removed renamed replaced replied report reported reports represent representative representatives
represented representing republic republican request required rescue research reserve residence residents resigned
resistance resources respect respectively response responsibility responsible rest restaurant result resulted
resulting results retired retirement retrieved return returned returning revealed review reviews revolution rich
richard ride right rights ring rise rising risk river road roads robert rock roger role roles roll rolled rolling
roman rome roof room rooms rose round route row royal rugby rule ruled rules run running runs rural russia russian
ryan safe safety said saint sale sales sam same samuel san santa sarah sat saturday save saw say saying says scale
scene scenes scheduled school schools science sciences scientific score scored scoring scotland scott scottish screen
sea search season seasons seat seats second secondary seconds secret secretary section sections sector security see
seeing seem seemed seems seen selected selection self sell selling semi senate senator send senior sense sent separate
separated september series serious serve served serves service services serving session set sets setting settled
settlement seven seventh several sex sexual shadow shall shape shaped share shared sharp she shifted ship ships shirt
shit shock shook shooting shop shore short shortly shot should shoulder shoulders show showed showing shown shows shut
sick side sides sight sign signal signed significant silence silent silver similar simon simple simply since singapore
singer singing single singles sir sister sisters sit site sites sitting situated situation six sixth size skills skin
sky sleep slid slightly slow slowly small smaller smell smile smiled smith snow so soccer social society soft softly
software sold soldier soldiers solid solo some somehow someone something sometimes somewhat somewhere son song songs
sons soon sorry sort sought soul sound sounded sounds source sources south southeast southern southwest soviet space
spain spanish speak speaking special species specific specifically speech speed spend spent spirit split spoke spoken
sport sports spot spread spring squad squadron square sr sri st stadium staff stage stairs stand standard standards
standing stands star stared staring starring stars start started starting starts state stated statement states station
stations status stay stayed steel step stephen stepped steps steve still stock stomach stone stood stop stopped store
stores stories storm story straight strange street streets strength strike string strong struck structure structures
student students studied studies studio studios study stuff stupid style sub subject subsequent subsequently succeeded
success successful successfully such suddenly suffered suggested suit summer sun sunday super supply support supported
supporting supposed supreme sure surface surprise surprised surrounded surrounding survey survived sweden swedish
sweet swiss switzerland sword sydney system systems table take taken takes taking talk talking tall tank target task
taught tax taylor teacher teachers teaching team teams tears technical technology teeth television tell telling tells
temperature temple ten tennessee tennis term terms territory test texas text than thank thanks that the theater
theatre their them theme themselves then theory there therefore these they thick thin thing things think thinking
third thirty this thomas those though thought thoughts thousand thousands threat three threw throat through throughout
thus tied tight tim time times tiny tired title titled titles to today together told tom tomorrow tone tongue tonight
tony too took top toronto total touch touched tour tournament toward towards tower town towns township track tracks
trade tradition traditional traffic trail train trained training trains transfer transferred translated translation
transport transportation travel treatment treaty tree trees trial tried tries trip troops trophy tropical trouble
truck true trust truth try trying tunnel turkey turkish turn turned turning turns tv twelve twenty twice two type
types typical typically uk ultimately un unable uncle under underground understand understanding understood union
unique unit united units universal universe university unknown unless unlike until up upon upper urban us usa use used
user users uses using usual usually valley value values vampire van variety various ve vehicle vehicles version
versions very via vice victor victoria victory video vietnam view views village villages violence virginia vision
visit visited visual vocals voice vol volume von vote voted votes vs wait waited waiting wake wales walk walked walker
walking wall walls walter want wanted wants war ward warm warning wars was washington wasn watch watched watching
water waters wave way ways we weak weapon weapons wear wearing weather web website wedding week weekend weekly weeks
weight well went were weren west western wet what whatever wheel when where whether which while whispered white who
whole whom whose why wide widely wife wild will william williams wilson win wind window windows wine wing wings winner
winners winning wins winter wisconsin wish with within without wolf woman women won wonder wondered wood wooden woods
word words wore work worked workers working works world worldwide worried worry worse worst worth would wouldn wounded
wrapped wrestling write writer writers writing written wrong wrote yard yards yeah year years yellow yes yet york you
young younger your yourself youth zealand zone
"""

_COMMON = """
aaron abbey abc abilities aboard abolished abraham abroad absence absolute absolutely abu abuse accessible accommodate
accompanied accomplished accounts accurate accused achieve achievement acid acknowledged acoustic acquisition acre
acted activated actively activist actors actresses adams adaptation adapted add adding additionally addressed adelaide
adjacent administered administrator admiral admit adrian adults adventure adventures advertising advice advisor
advisory advocate affair affect affiliate affiliated afford affordable afghanistan afterwards agencies agents ages
agree ah aids aim aimed aims ain airline airlines alabama alarm alaska alberta alcohol alfred alice alien aliens allan
alleged alley allied allies alpha altered alternate altitude amanda amateur amazing ambassador amber amendment amongst
amounts amsterdam amy anchor andre andrea andy angels angle anglo animated animation anime ann annie announcement
annually answers anywhere apparent appeal appearing apple apply appointment approaches approaching appropriate
approval arabic arc arch archaeological archbishop architects architectural archive archives arent argentina argentine
argue argument arkansas armenian armies armor arnold arrangement arrangements arrest arrival arrive arrives arriving
arrow artificial artistic artwork ash asleep aspect aspects assault assessment assets assignment assist assisted
assists associate associations assume assured ate athens athlete athletes athletics atlanta atmosphere attacking
attempting attend attending attitude attracted attraction attractive attributed au auckland audio aunt austin austrian
authored authors auto automatic automatically autonomous autumn aviation awake awareness axis azerbaijan ba backed
backpack backward badly bags bailey baker balance ballet balls baltimore ban bangladesh banking banned baptist barbara
barcelona bare barn baron baronet barrel barrier barry bars basement bases basin bastard bat bath bathroom battery
battles beam bearing bears beast beaten beating beetle begun behalf beijing belgian belgium belief believes believing
belly belong belonged belonging belongs belt bench bend benefit benefits bengal benjamin bennett bent berkeley bernard
bet beta beth bible bid bigger bike bills bin binding binge biography biological biology biopic biopics birmingham
birthday bishops bitch bite bitter blade blake blame blank blanket blast blew blind blinked blocked blocks blond
bloody blow bluray bo boards boats bobby bold bomb bombing bone bones bonus boom boots borders bore bored boring
borough boss bother bottle boulevard boundaries boundary bow boxes boxing boyfriend br brad bradley branches brandon
brass brave brazilian bread breakfast breaks breast breathe breathed breathing breed breeding bride bridges brilliant
brings brisbane bristol broadcasts broadway brooklyn brooks brow bruce brush brushed bryan btw buddhist buddy buffalo
bulgaria bulgarian bull bullet burial burn burns burst buses bush businesses businessman busy butler button bye
byzantine ca cabin cable cafe cage calendar calm cameras cameron campaigns campbell camps cancel canceled cancellation
cancelled cannon cant canton cantonese canyon cap capita carbon cardinal cared careful cargo caribbean carl carlos
carol caroline carrier carries carter cartoon cartoons carved cassie casualties categories catherine cats cattle
cavalry cbs cdp ce ceased ceiling celebrate celebrated celebration celebrity celtic centered centers centres ceo
certificate certified chains chairs challenged challenges chambers chancellor channels chaos characteristic
characteristics characterized charges charity charlotte charter charts cheap cheaper cheapest cheaply checked checkout
cheeks cheese chemistry chen chess chester chicken childhood chile chocolate choir chorus christianity christians
christopher chuck cincinnati cinema circles circular circumstances cited citing citizen civic civilian claiming claire
clan clarke classics classification classified claude clay cleared clearing clenched clerk cleveland clever client
clients cliff climb climbed climbing clinical clinton closest closing closure cloth clothing cloud clouds clueless
coached coaches coaching coalition coastal coins col cole colin collaborated collaboration collapse collapsed
colleagues collect collections collective colleges collins colombia colonies colony colored colors colour colours
columbus column columns comedies comfort comfortable comics commanded commanding commenced comment commentary
commented comments commerce commissioner commitment committed commons commonwealth commune companion comparison
compete competing competitions competitive compilation completing completion complicated component components
composition compound comprehensive comprises computers concentrated concentration concepts concerning concerns
concerts concluded conclusion concrete conduct conductor confederate confidence confusion congregation congressional
connect connecticut connecting connections connects connor consciousness consecutive consequences consequently
conservation considerable considering consist consistent constantly constituency constitutional consultant consumer
consumption contents contested context continental continuing continuous contracts contrast contributing contribution
contributions controls controversial controversy conventional conversion convicted convince convinced cook cooking
cooper cooperation cop copper copy cork corners corporate correct corresponding corridor corruption costa cosy cotton
couch couldnt counted counties coup couples courage cousin coverage cozy crack craft craig crash crashed cream
creative creator creature creatures credited credits creepy cried crimes critic criticism criticized croatia croatian
crops crosses cruise cruz crying crystal cuba cult cultures curious curled curriculum curse curve custom customer
customers customs cuts cutting cylinder czech daddy dakota dale dallas dam damaged dame dancer dancing danger danish
danny dare darker das database dated daughters dawn dc dealing dear deaths debate debt debuted decade decide decides
decisions deck declaration decline declined decorated deemed deeper deeply deer defeating defend defended defender
defending defensive definitely definition delaware delay delayed delhi deliver delivery della delta demanded demands
democracy democrat democrats demolished demon demons demonstrated den denied denmark dennis denver departed
departments departure dependent depending depicted deployed depot depression depth derby derek descendants descent
describe describes describing description desert designation designer designs desperate destination destroy
destruction detail detailed detective determine detroit developments devices devil devon devoted dialogue diameter
diamond diana dick didnt dies diesel diet differences difficulties difficulty dimensional dining diocese diplomatic
directions directors dirt dirty disaster disbanded disc discontinued discover discuss discussed discussion diseases
disliked dismissed disney disorder displayed displays dispute dissolved distant distinct distinction distinctive
distributed diverse diversity divine divisions divorce dj dna dock doctorate doctors doctrine document documentaries
documented documents doesnt dogs dollar dollars domain dome dominant dominated donald donated dont doorway doubles
doug download dozen drafted drag dragged dragons drake dramas dramatic dreams dresses drinking drinks driven drivers
dropping drugs drum drummer drunk dual dubbed dublin dug dumb duncan duo durable dust duties dying dylan dynamic eagle
eagles earbuds earliest earn earning ears earthquake ease easier easter eaten eating economics eddie edges edinburgh
edited editions editorial edwards effectively efficiency efficient egg eggs egyptian eighteen eighth eighties elbow
elder eldest electoral electrical electricity electronics element elevated elevation elevator eligible eliminated
elite ellis elsewhere em embassy emerged emerging emily emma emotion emotional emotions emphasis employee employment
enchanted encounter encountered encourage encouraged endemic enemies enforcement engage engagement engineers enjoy
enjoyed enormous enrolled ensemble ensure entering enterprise enters epic equally equation equipped equivalent erected
ernest error escaped escort essays essential essentially essex establishing estates ethan ethnic eu eugene evans eve
everybody everywhere evolution evolved exact examination examined excellence excellent exception excited excitement
exclusive exclusively excuse executed execution exercise exhibit exhibited exhibitions exile existed exists exit
expand expect expecting expedition expensive experiences experiment experimental experiments expert experts explains
explanation exploration explore explosion exposed exposure extend extending extends extensively extent exterior
external extinct extreme eyebrows eyed fa fabric facade factors facts faded fail failing faint fairly fairy fake false
fan fantasy farmer farmers farming farms farther faster fastest fat fate fault favor favour favourite fbi feared feat
fed fee feeding feels felix fellowship fence ferry festivals fewer fi fictional fifa fifties fifty fighters figured
filed files fill filling filmed filming finland finnish fires firing firmly fisher fishing fist fitted fix flame
flames flash flashed fled flesh flew flick flicks flights floating flood floors florence flower flowing flows fluid
flute focuses focusing folded followers fool footage forcing forehead forests forgotten formally forming formula forth
forties fortress fortune forty forum foster founders fourteen framework franchise francois franklin franz fred freight
frequency frequent freyja friday friedrich friendship frontier frowned frozen fruit fuck fucking functional
fundamental funded funeral funnier funniest funny fur furniture furthermore fury gabriel gaining gang gap garage
garcia gardens garrison gary gasped gates gather gathered gathering gauge gay gear gen gender generated generations
genetic genre gentle germans ghost ghosts giants gift giftcard gilbert girlfriend glad glance glasgow glasses glen
globe glory glow gmina goddess gods gonna goofy google gore gory gospel gothic gotta governing governments grab grades
gradually graduating graduation graham grain grammar grammy grandfather grandma grandmother grandpa grandson grants
graphic graphics grass grateful grave gravity grease greatly greece greg gregory grid grin grinned grip gripping
groceries gross grove growled grows guardian guests guidance guided guilt guilty guinea guitarist guitars gulf habitat
hadnt haha halfway halloween hallway hamburg hamlet hammer hampshire han handled handling handsome hang hanging hannah
hans happening happens happier happiness harbor harbour harder hardly hardware harm harold harper harris harrison
harsh hart harvard harvey hasn hasnt hat hated havent hawaii heading headphones healing healthy heartbreaking hearts
heartwarming heaven heavyweight hebrew heels heights heir heist helen helicopter hello helps hence henri herbert
heroes hi hiding hilarious hindi hindu hips hispanic historians historically hitler hitting hms ho holes holiday
holland hollow honest honey honorary honored honors honour honours hood hook hop hopes horn horror hospitals hosts
housed householder hows hp http hudson hug hugh hughes hull humanity humor hundreds hungarian hungary hungry hunt
hunting hurricane hybrid ibn id ideal identical identification identify ignore ignored il ill illegal illness
illustrated im imagine imagined immediate immigrants immigration implementation implemented impressed impression
impressive imprisoned improvement improvements inaugural increases increasingly incumbent index indians indicate
indicates indicating indigenous indonesia indoor inducted industries inexpensive infection influences influential
informed infrastructure inherited initiated initiative injuries inn innings innocent innovation input insisted
inspector inspiration installation instance instant instantly instruction instructions instrument instrumental
instruments integrated integration intellectual intense intensity intent intention inter interaction interchange
interesting interface intermediate internationally interpretation interrupted intersection interstate intervention
interviews introduce invented investigate invisible invitation invoice involvement involves involving iowa iranian
iraq iraqi isaac islam islamic isle isnt isolated israeli item ivan ive ivy jacket jacob jacques jail jamie jan jared
jaw jaws jay jeans jefferson jennifer jenny jeremy jerked jerry jerusalem jesse jessica jet jo joan jobs joel johann
joke jon jonathan josh journalism journalists joy judges judgment judicial julia julian julie jumped jumping jungle
jurisdiction jury justin kane karen karl kate keeps keith ken kennedy kenneth kenny kent kentucky kenya kerala
keyboard keyboards keys kick kicked killer kills kilometers kinda kinds kings kisses kissing kit knee knights knock
knocked kw kyle lab laboratory ladies lakes lamp lamps landed landmark landscape lanka laptop laptops larry las lasted
latest latino laughing laughter laura lawrence layer lb leaf leagues lean leaning leather lebanon lecture lectures
leeds legacy legend legendary legion legislation legislature leo leon leonard leslie lesser lessons lets letting li
liam liberation liberty libraries license licensed lifetime lift lifting liga lighter lighting lightly lightning
lightweight likes lily limit limits linda linear lined linked links lion lions lipstick liquid lisa listened listening
lists lit literacy literally liu liverpool lloyd lo load loaded locally lock locomotive locomotives lodge log logan
logic login logo lol longest loop loose lopez lords losses lots louise louisiana lovely lover loves loving lowered
lowest loyal lp lt lucas luck lucy luis lunch lungs lynch mac machines mad madison madrid magazines maggie magical
magnetic mail maine mainland mainstream maintaining maintenance makeup malaysia malcolm mall manage managing mandarin
manga manhattan manor mansion manual manuel manufactured manufacturer manufacturers manufacturing manuscript maps
marathon marble marc marco marcus margaret margin mario maritime marketing markets marks marry mars marshal marshall
martial marvel mascara mask mason masters mate math mathematical mathematics matters matthew mature maurice meal
meanwhile measure measured measures meat mechanical mechanism medals medieval mediterranean meetings meets melody
membership memories merchant mercury mercy mere merely merger merit mess messages meter meters methodist metre metro
mia miami michel microsoft midfielder midnight miguel milan militia milk millions mills min mines mini minimum mining
ministers minority missile missionary missions mississippi mistake mitchell mixing mixture mode moderate modified
molecular monastery monday monitor monitoring monk monster montana montgomery monthly montreal monument mood moods
moral morris mosque moth motorcycle mounted mouse movements moves movies mp mph ms mtv mud muhammad mum mumbai munich
municipalities murdered murmured murphy murray muscle muscles musicals muslims muttered mutual mysteries mysterious
mystery na naked namely nancy napoleon narrative narrowed nashville nate nathan nationalist naturally nazi nba nbc
ncaa nearest nebraska nee negotiations neighboring neil nelson nepal nephew nervous net networks neutral nevada
nevertheless newcastle newer newest newspapers newton nhl nicholas nickname nigeria nights nineties ninth noah noble
nobody nod noir nomination nope norfolk norman northeastern northwestern notably notebook noughties nova novels
nowhere numbered nurse nursing ny oak obama objective observation obtain obvious obviously occasion occasional
occasionally occasions occupation odd offensive ok oklahoma oldies oliver olivia omg ongoing op opens operates
operational operator opponent opponents opportunities option options oral orbit ordinary org organ organic
organisation organisations organised oriented originated origins orleans orthodox oscar ottawa otto ottoman outbreak
outdoor outer output overhead overseas owen owners ownership owns oxygen pa pace package packed pages paint pairs
palestine palmer pan panama panel panic pants parade parallel parcel parent parker parking parks parliamentary partial
partially participants participate participating participation partly partners passage passengers passion password pat
patch patent patient patrol patterns pause paused paying payment pc peaked pearl pedro peer pen penalty peninsula
peoples perceived percentage percussion perfectly perfume periods permanently permission permitted perry personality
personally perspective peru pete petersburg ph phd phil philippine phillips phoenix phones photo photographer
photographs photography photos phrase physically physician physics picking pierre pile pilots pine pioneer pipe
pirates pistol pit pitch pitched pitcher pitt pittsburgh placing plain plains planted plastic plates platforms
platinum playoff playoffs plaza pleasant pleased plenty pm poem poems pointing pole policies politicians poll pond
popcorn popularity populations porch porter portions portland portrait portrayed ports portugal possessed possession
possibility posted posts pot pounds poured poverty powell powered practical practically practices pradesh prague
praise praised prayer predecessor prefecture preferred pregnant preliminary premiere premiered preorder preparation
prepare preparing prequel prequels presentation presents preservation preserve preserved presidency pressing
prestigious preston prevented prey prices pricey pride priests principle principles print printed printing prisoner
prisoners procedure procedures proceeded proceedings processes processing producers produces professionals profile
profit programmes progressive promised promoting pronounced proof properly proposal protecting proteins protest
protestant protests protocol prototype proud prove provinces provisions ps psycho psychological psychology
publications publicly publisher publishers puerto pulls pulse punch punishment punk pupils pure purple purposes purse
pursue pursuit pushing puts qualification qualify qualifying quantum quarters quartet queens quest questioned quieter
quinn quit rabbi raced rachel racial radar radiation radical raf rage raid railways raising rally ralph ram ranch
random rang rangers ranges ranging ranking ranks rapid rapidly rarely rated rates rating ratings ratio raw raymond
reaches reader readers realm rebel rebellion rebels rebuilt recalled receiver receives reception recipient recognised
recognize recommend recommendation recommendations recommended recommending reconnaissance reconstruction recordings
recover recovered recovery recreation recruited reduce reducing reduction reed refer references referring reflect
reflected reforms refugees refund refunds regard regardless regime registration regularly regulation regulations reign
rejected relating relation relationships relative relaxed relay releases releasing relegated relevant relieved
relocated remainder remake remakes reminded remix remote removal remove renaissance renowned repair repeated
repeatedly replace replacement replacing reply reportedly reporter reporting representation represents reputation
requested require requirements requires researchers reserves reservoir resident residential residing resignation
resolution resort resource respective respond responded restaurants rested resting restoration restored restricted
resumed retail retained retreat returns rev reveal revealing reveals revenge revenue reverse reviewed revised revival
revolutionary rewatch rhythm rice richmond rick rico rider riders ridge riding rifle riley rings rio ritual rival
rivers rob roberts robin robinson robot robots rocket rocks rod rode rogers roland romance romania romanian romanized
romantic ron ronald rookie roosevelt root roots rope ross rough roughly rounded rounds routes roy rubbed rubber ruins
ruler ruling runner runners rush rushed rushing russell ruth sa sacred sacrifice sad sadder sailed sailing saints sake
sally salt sample samples sanctuary sand sandy sang sank santiago sao sara satellite satisfied saudi saved saving
saxophone sc scared scarier scariest scary scattered scent schedule scheme scholar scholars scholarship sci scientist
scientists scores scout scream screamed screaming script sculpture se seal sean searching seated seattle sebastian
secrets secure secured seed seeds seek seeking sees segment seized select semifinals seminary sending sensation
sensitive sentence sentenced separation sequel sequels sequence serbia serbian sergeant serial serie seriously servant
servants server sessions seth settle settlements settlers seventies severe severely sexy shade shadows shah shake
shakespeare shaking shallow shane shanghai shares sharing shaw shed sheep sheet sheets sheffield shell shelter sheriff
shield shift shipment shipping shirts shocked shoes shoot shopping shops shorter shortest shots shouldn shouldnt
shouted shoved shower shrugged siege sierra sigh sighed signals signature significance significantly signing signs
silently silk silly similarly simultaneously sin sing singers singh sink sits situations sixteen sixties sixty sized
ski skill skull slammed slave slavery slaves sleeper sleeping slept slide sliding slight slip slipped slower smart
smartphone smartphones smiles smiling smoke smooth snake snapped soap socialist societies sofa sofia soil solar sole
solution solutions somebody sometime songwriter sony sophie sorta soundtrack southeastern southwestern spaces span
spare speaker speakers speaks specialist specialized spectrum spell spencer spending spider spies spin spine spirits
spiritual spite sponsored spooky sporting spots spotted springs spun spy sq squeezed ss stable stages stake stakes
stanford stanley stare starred statements stating stationed statistical statistics statue staying steady steal steam
stefan stem stern steven stevens stewart stick stockholm stolen stones stopping stops storage stored stranger
strategic strategy stream streaming stress stretch stretched striking strings strip stroke stronger strongly
structural struggle struggled struggling sts stuart stuck studying styles subjects submarine submitted subsidiary
substantial substitute subtitle subtitles suburb succession successor sucked sudden suffering sufficient sugar suggest
suggestion suggestions suggests suicide suitable suite sullivan sultan sum summit sung sunglasses superhero
superheroes superheros superior supplied supplies supporters supports suppose sur surely surgery surrender survival
survive surviving survivors susan suspect suspected suspended suspenseful suspension suspicion sustained swallowed
swear sweat swept swimming swing switch switched swung symbol symphony symptoms syndrome syria tables tablet tablets
tactical tag tail taiwan tale talent tales talked talks tamil tanks tape targets tasks taste taxes te tea teach tear
tearjerker tech technique techniques technologies ted teen teenager teens telephone temperatures temples temporarily
temporary tend tender tense tension tenth tenure terminal terminus terrible territorial territories terror terry
tested testing tests texts thai thailand thanksgiving thats theatrical themes theology theories therapy thereafter
thereby theyre thinks thirteen thirties thompson thoughtful threatened threatening threats thriller thrillers throne
throw throwing thrown thrust thumb thunder thursday ticket tie tier ties tiger tigers tightened tightly till timber
tip tissue todd toddlers tokyo tomb tommy tons tool tools topic topics torn torture tossed totally touchdown touching
tough toured touring tourism tourist tournaments tours towers trace tracking traded trading traditionally traditions
transformation transformed transit transition transmission trap trapped traveled traveling travelled travelling
travels treasure treat treated trent trevor trials tribal tribe tribes tributary tribute trick trinity trio triple
truly trump trunk tube tuesday tune turner twenties twin twins twisted ty tyler uefa uh ukraine ukrainian ultimate um
uncomfortable uncredited und undergraduate underneath unfortunately uniform unincorporated unity universities
unsuccessful unusual updated uplifting upset upstairs usage useful uss utah valentine valuable vampires vancouver
variable variant variation variations vary vast vegas venezuela venice venture venue vermont verse versus vertical
vertigo vessel vessels veteran veterans vi vibe vibes victim victims victorian videos vienna viewed viewers vii villa
vincent vinyl violent violently violet violin virgin virtual virtually virus visible visiting visitors visits vital
vladimir vocal vocalist voiced voices voivodeship volleyball volumes volunteer volunteers voters voting voucher
vouchers voyage vulnerable waist walks wallace wallet wang wanna wanting warfare warmth warned warner warranty warren
warrior warriors warsaw washed wasnt waste watches waterproof watson waved waves wayne wealth wealthy wednesday weird
weirder welcome welfare wellington wells welsh werent westerns weve whats wheels whenever whereas wheres wherever
whilst whisper widened wider widespread widow wilder wildlife willing winds wiped wire wireless wise wished wishes
witch withdrew witness witty woke wolves wonderful wondering wont worker workshop worlds worn worship wouldnt wound
wounds wright wrist writes writings wu www xi ya yale yang ye yelled yep yesterday yorkshire youll youngest youre
yours youtube youve yugoslavia zane zero zombie zombies
"""

_FUNCTION_WORDS = """
a an the and or nor but so if then than that this these those there here it its he him his she her hers they them their
we us our you your i me my mine yours who whom whose which what when where why how is are was were be been being am do
does did doing done have has had having will would shall should can could may might must not no yes of in on at by for
with without from to into onto up down out off over under about as per via too also just only very really quite so
more most much many some any all both each every either neither other another such own same again still already yet
even ever never now one ones dont doesnt didnt isnt arent wasnt cant couldnt wont wouldnt im ive id ill youre thats
whats lets havent hasnt hadnt wouldnt couldnt shouldnt werent please thanks thank ok okay
yeah yep hi hello hey oh well let like get got go going
"""


@cache
def frequent_words() -> frozenset[str]:
    """The three thousand or so most frequent words, lower case, apostrophes left out ("dont")."""
    return frozenset(_FREQUENT.split()) | function_words()


@cache
def common_words() -> frozenset[str]:
    """Words that nobody needs a capital to mean: `frequent_words` and some thousand more, names of places too."""
    return frequent_words() | frozenset(_COMMON.split())


@cache
def function_words() -> frozenset[str]:
    """Articles, pronouns, auxiliaries, prepositions: they carry no wish of their own."""
    return frozenset(_FUNCTION_WORDS.split())
